"""The UMT5 encoder, which turns captions into the features that Wan reads: tokens, network, published weights."""
