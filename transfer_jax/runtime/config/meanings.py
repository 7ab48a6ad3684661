"""What other trainers call a key: a name that is unknown here is answered by its meaning, where a key has it."""
from collections.abc import Collection

NAMES = {  # key, of any job's schema: its names elsewhere
    'train.learning_rate': 'lr base_lr peak_lr max_lr unet_lr transformer_lr',
    'train.steps': 'max_train_steps max_steps num_train_steps total_steps training_steps train_steps num_steps max_iters iterations '
                   'num_iterations train_iters num_training_steps max_steps_per_run',
    'train.epochs': 'num_train_epochs max_train_epochs num_epochs max_epochs epochs',
    'train.batch': 'train_batch_size batch_size global_batch_size batchsize bs micro_batch_size per_device_train_batch_size '
                   'micro_batch_size_per_gpu dataset_batch_size',
    'train.accumulate': 'gradient_accumulation_steps gradient_accumulation grad_accum grad_accum_steps accumulation_steps '
                        'accumulate_grad_batches',
    'train.schedule': 'lr_scheduler lr_scheduler_type lr_schedule lr_decay_style',
    'train.warmup': 'warmup_steps lr_warmup_steps num_warmup_steps warmup_iters lr_warmup_iters warm_up',
    'train.weight_decay': 'adam_weight_decay optimizer_weight_decay wd',
    'train.clip_norm': 'max_grad_norm grad_clip clip_grad clip_grad_norm gradient_clip_val gradient_clipping grad_norm_clip',
    'train.ema': 'ema_decay ema_rate ema_beta use_ema',
    'train.trained': 'model_type training_type finetuning_type train_type use_lora trainable_models trainable_modules network_module',
    'train.b1': 'adam_beta1 beta1',
    'train.b2': 'adam_beta2 beta2',
    'train.optimizer': 'optimizer_type optim optimizer_name optimizer_class',
    'train.prediction': 'prediction_type',
    'train.caption_dropout': 'caption_dropout_rate caption_dropout_p caption_dropout_prob cond_drop_prob uncond_prob text_dropout '
                             'text_drop_prob proportion_empty_prompts',
    'model.dtype': 'mixed_precision precision amp bf16 fp16 torch_dtype compute_dtype weight_dtype',
    'model.text_len': 'max_sequence_length tokenizer_max_length max_token_length text_encoder_max_length max_text_length',
    'model.remat': 'gradient_checkpointing use_gradient_checkpointing activation_checkpointing grad_checkpointing '
                   'gradient_checkpointing_enable recompute',
    'model.attention': 'attn_mode attn_implementation attn_impl attention_mechanism attention_backend',
    'wan.path': 'pretrained_model_name_or_path model_name_or_path model_path model_id dit dit_path transformer_path pretrained_model '
                'model_paths model_id_with_origin_paths ckpt_dir',
    'wan.vae': 'vae_path vae_model_path pretrained_vae_model_name_or_path',
    'wan.vae_tile': 'vae_tiling enable_tiling vae_enable_tiling vae_spatial_tile_sample_min_size',
    'wan.vae_chunk': 'vae_chunk_size vae_slicing enable_slicing vae_enable_slicing',
    'wan.text_encoder': 't5 t5_path text_encoder_path umt5_path',
    'wan.storage': 'base_model_precision transformer_dtype fp8_base fp8_scaled layerwise_upcasting',
    'wan.text_dtype': 'text_encoder_dtype fp8_t5',
    'lora.rank': 'lora_rank network_dim lora_dim lora_r lora_hidden_dim',
    'lora.alpha': 'lora_alpha network_alpha',
    'lora.dropout': 'lora_dropout network_dropout',
    'lora.targets': 'lora_target_modules target_modules',
    'lora.init_from': 'network_weights lora_weights init_lora lora_checkpoint lora_path',
    'law.shift': 'discrete_flow_shift flow_shift timestep_shift flow_schedule_shift',
    'law.base': 'weighting_scheme timestep_sampling timestep_sample_method t_sampling flow_weighting_scheme',
    'law.loc': 'logit_mean flow_logit_mean',
    'law.scale': 'logit_std flow_logit_std',
    'data.clips': 'train_data_dir data_root dataset_path data_dir dataset_dir video_folder video_dir videos_dir instance_data_root '
                  'instance_data_dir video_directory dataset_name data_path video_jsonl_file dataset_base_path '
                  'metadata metadata_path metadata_file dataset_metadata_path dataset_config dataset_file data_backend_config csv_path '
                  'train_data_meta annotation annotations annotation_path ann_path manifest manifest_path train_data jsonl_path dataset',
    'data.columns': 'caption_strategy caption_column video_column text_column prompt_column path_column column_mapping caption_field '
                    'caption_key video_key text_key data_file_keys',
    'data.captions': 'caption multi_caption caption_sampling',
    'data.mix': 'num_repeats repeats dataset_repeat repeat mixing_weights dataset_weights sampling_weights sample_weights',
    'data.cache': 'cache_dir cache_directory latent_cache_dir cache_path',
    'data.buckets': 'num_frames video_length target_frames n_frames frames max_num_frames frame_buckets height width resolution size '
                    'sample_n_frames sample_size max_pixels ar_buckets size_buckets video_size clip_length frames_per_clip '
                    'resolutions image_height image_width video_resolution_buckets video_reshape',
    'data.fps': 'fps frame_rate target_fps source_fps train_fps sample_stride video_sample_stride frame_interval',
    'data.dropout': 'quality_dropout',
    'data.workers': 'num_workers dataset_num_workers dataloader_num_workers dataloader_workers n_workers max_data_loader_n_workers',
    'data.held_out_fraction': 'validation_split val_split eval_split validation_fraction',
    'checkpoint.every': 'save_every save_steps checkpointing_steps save_every_n_steps checkpoint_every save_interval checkpoint_interval',
    'checkpoint.keep': 'checkpoints_total_limit save_total_limit max_to_keep keep_last_n save_last_n_steps',
    'log_every': 'logging_steps log_interval log_steps log_every_n_steps',
    'eval.every': 'eval_steps eval_every eval_interval validation_steps val_every eval_every_n_steps',
    'sample.every': 'sample_every sample_every_n_steps sample_interval',
    'sample.captions': 'validation_prompts validation_prompt sample_prompts prompts prompt',
    'sample.negative': 'negative_prompt neg_prompt validation_negative_prompt',
    'sample.guidance': 'guidance_scale cfg_scale cfg validation_guidance',
    'sample.steps': 'num_inference_steps inference_steps infer_steps sampling_steps validation_num_inference_steps',
    'sample.solver': 'sample_solver sampler',
    'sample.clips': 'num_samples num_videos num_validation_videos',
    'mesh.fsdp': 'fsdp_degree dp_shards dp_degree data_parallel_size use_fsdp zero_stage',
    'mesh.context': 'context_parallel cp_degree cp_size sp_degree sp_size ulysses_degree sequence_parallel_size tp_degree tp_size '
                    'tensor_parallel tensor_parallel_size model_parallel_size',
    'seed': 'random_seed manual_seed global_seed',
    # of the transfer job alone
    'data.path': 'data_root dataset_path data_dir dataset_dir data_path',
    'data.shots': 'n_shots num_shots k_shot shot',
    'data.image_size': 'img_size resolution input_size',
    'model.weights': 'pretrained_model_name_or_path model_path pretrained_weights checkpoint_path',
    'model.kind': 'arch backbone model_name',
    'model.lora_rank': 'network_dim lora_dim lora_r rank',
    'model.lora_alpha': 'network_alpha alpha',
    'seeds': 'n_seeds num_seeds'}

SECTIONS = {'sample': {'num_steps': 'sample.steps', 'flow_shift': 'sample.shift', 'timestep_shift': 'sample.shift',
                       **dict.fromkeys(('height', 'width', 'num_frames', 'frames', 'resolution', 'video_length'), 'sample.shapes')},
            'data': {'path': 'data.clips', 'folder': 'data.clips'}}

NOTES = {  # where the same name would mislead, what the key counts here
    'train.accumulate': 'train.batch is the whole batch, and this its slices',
    'train.batch': 'over all devices and slices',
    'data.buckets': 'each is (width, height, frames)',
    'data.captions': 'how several of one clip are taken; where captions lie is found',
    'data.clips': 'a folder with its captions, or a table',
    'data.columns': "as 'clip=video,caption=prompt'; caption=filename takes the names of files",
    'data.mix': 'of sources, rate and weight of each',
    'train.trained': 'full, lora, or a regular expression of names',
    'model.remat': 'what is computed again, by name'}

ELSEWHERE = {  # what no key is: its names, and what to do
    'a run goes on by itself where its --workdir has a checkpoint: give the same command':
        'resume resume_from resume_from_checkpoint resume_path auto_resume ckpt_path resume_checkpoint resume_step',
    'where a run is kept is the flag --workdir': 'output_dir output_path output_folder save_dir save_path project_dir output_name '
                                                 'logging_dir log_dir run_name exp_name experiment_name',
    'scores of other tools are joined by python -m tqd_jax.score --scores=FILE, whose scores.parquet is config.data.clips':
        'scores score score_file scores_file score_path scores_path quality quality_scores quality_file motion_scores aesthetic_scores',
    'captions that lie beside clips or in a table of config.data.clips are found; config.data.columns names a column':
        'caption_file captions_file caption_path captions_path caption_dir captions_dir prompts_file prompt_file caption_ext '
        'caption_extension caption_type caption_format captions_column',
    'the progress, metrics.jsonl and tensorboard/ of a run lie in --workdir':
        'report_to with_tracking tracker_name log_with wandb use_wandb wandb_project tensorboard',
    'devices are found; config.mesh.fsdp and config.mesh.context say how they share the work':
        'num_gpus n_gpus gpus num_devices devices world_size num_processes num_nodes nproc_per_node deepspeed deepspeed_config',
    'there are no epochs: config.train.steps counts updates': 'num_train_epochs max_train_epochs num_epochs max_epochs epochs'}


def by_meaning(key: str, keys: Collection[str]) -> str | None:
    """The end of a message about an unknown key, 'did you mean ...', where another trainer's name of a key is its last part; else None.

    keys: those that there are. Nothing is suggested that is not among them.
    """
    section, _, last = key.rpartition('.')
    name = last.lower().replace('-', '_')
    found = SECTIONS.get(section, {}).get(name)
    found = found if found in keys else next((one for one, names in NAMES.items() if one in keys and name in names.split()), None)
    if found is not None:
        note = f' ({NOTES[found]})' if found in NOTES else ''
        return f'did you mean config.{found}{note}?'
    if 'train.steps' not in keys:  # of another kind of job
        return None
    return next((text for text, names in ELSEWHERE.items() if name in names.split()), None)
