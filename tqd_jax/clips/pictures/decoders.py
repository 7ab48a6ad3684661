"""Which decoder reads a stream, and from which packet on: libav's own ones leave out some transparency, and begin with grey pictures."""
import av

TRANSPARENT = {'vp8': 'libvpx', 'vp9': 'libvpx-vp9'}  # libav's own decoders of these leave the alpha of WebM out
NEED_KEY = {'vp8', 'vp9', 'av1', 'mpeg4', 'h263', 'h263p', 'flv', 'flv1', 'msmpeg4v1', 'msmpeg4v2', 'msmpeg4', 'msmpeg4v3', 'wmv1', 'wmv2',
            'rv10', 'rv20', 'rv30', 'rv40', 'svq1', 'svq3', 'cinepak', 'theora', 'indeo3'}  # decode nothing before one, or draw on grey


def decoder_of(stream, options):
    """The CodecContext that reads a stream: its own, or with `options` one that keeps its transparency."""
    own = stream.codec_context
    name = TRANSPARENT.get(own.name) if stream.metadata.get('alpha_mode') == '1' else None
    if name is None or name not in av.codecs_available:
        return own
    decoder = av.CodecContext.create(name, 'r')
    decoder.thread_count, decoder.options = 1, options
    return decoder


def whole_packets(packets, stream):
    """The packets of which a decoder makes whole pictures: those from the first key frame on, or all of them where none is marked."""
    before = [] if stream.codec_context.name in NEED_KEY else None
    for packet in packets:
        if before is None or packet.is_keyframe:
            before = None
            yield packet
        else:
            before.append(packet)
    yield from before or ()


def decoded_frames(decoder, packet):
    """The frames of a packet. After a damaged one of several frames PyAV (18.1) refuses all others, so the decoder starts anew there."""
    try:
        return decoder.decode(packet)
    except av.error.BlockingIOError:
        decoder.flush_buffers()
        return decoder.decode(packet)
