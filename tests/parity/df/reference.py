"""DeepFilterNet 3 by ONNX Runtime, in float64 around the three graphs.

The offline order of the original Python code: frames of 960 samples every 480,
features moved two frames ahead, two frames of zeros behind them.
"""

import numpy
import onnxruntime

HOP, FFT, BINS, DF_BINS, ORDER, LOOKAHEAD = 480, 960, 481, 96, 5, 2
WIDTHS = [2] * 13 + [5, 5, 7, 7, 8, 10, 12, 13, 15, 18, 20, 24, 28, 31, 37, 42, 50, 56, 67]
STARTS = numpy.cumsum([0] + WIDTHS)[:-1]
ALPHA = 0.99


class Network:
    def __init__(self, folder):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.graphs = [
            onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options)
            for name in ("enc", "erb_dec", "df_dec")
        ]

    def __call__(self, feat_erb, feat_spec):
        """[T, 32], [2, T, 96] -> every output by its name, without the batch"""
        enc, erb_dec, df_dec = self.graphs
        names = [o.name for o in enc.get_outputs()]
        feeds = {"feat_erb": feat_erb[None, None], "feat_spec": feat_spec[None]}
        feeds = {k: v.astype(numpy.float32) for k, v in feeds.items()}
        out = dict(zip(names, enc.run(names, feeds)))
        take = lambda *names: {n: out[n] for n in names}
        out["m"] = erb_dec.run(["m"], take("emb", "e3", "e2", "e1", "e0"))[0]
        out["coefs"] = df_dec.run(["coefs"], take("emb", "c0"))[0]
        return {k: v[0] for k, v in out.items()}


def window():
    n = numpy.arange(FFT) + 0.5
    return numpy.sin(numpy.pi / 2 * numpy.sin(numpy.pi * n / FFT) ** 2)


def analysis(x):
    """[n] -> [n / 480, 481]"""
    x = numpy.concatenate([numpy.zeros(HOP), x])
    frames = numpy.lib.stride_tricks.sliding_window_view(x, FFT)[::HOP]
    return numpy.fft.rfft(frames * window()) / FFT


def synthesis(spectra):
    spectra = spectra.copy()
    spectra[:, [0, -1]] = spectra[:, [0, -1]].real
    frames = numpy.fft.irfft(spectra * FFT, FFT) * window()
    out = numpy.zeros((len(frames) + 1) * HOP)
    for i, frame in enumerate(frames):
        out[i * HOP : i * HOP + FFT] += frame
    return out[: len(frames) * HOP]


def features(spectra):
    power = numpy.add.reduceat(numpy.abs(spectra) ** 2, STARTS, axis=1) / WIDTHS
    level = 10 * numpy.log10(power + 1e-10)
    mean, scale = numpy.linspace(-60, -90, 32), numpy.linspace(0.001, 0.0001, DF_BINS)
    erb, spec = numpy.zeros_like(level), numpy.zeros((len(level), DF_BINS), complex)
    for t, z in enumerate(spectra[:, :DF_BINS]):
        mean = (1 - ALPHA) * level[t] + ALPHA * mean
        scale = (1 - ALPHA) * numpy.abs(z) + ALPHA * scale
        erb[t], spec[t] = (level[t] - mean) / 40, z / numpy.sqrt(scale)
    return erb, spec


def enhance(network, x, heard=None, limit=None):
    """x [n] or [channels, n]; heard [n]: what the network hears, the mean unless given.
    Returns the same shape, and lsnr [T]."""
    channels = numpy.atleast_2d(x).astype(numpy.float64)
    n = channels.shape[1]
    heard = channels.mean(0) if heard is None else heard
    pad = lambda a: numpy.concatenate([a, numpy.zeros(FFT)])[: (n + FFT) // HOP * HOP]
    erb, spec = features(analysis(pad(heard)))
    ahead = lambda a: numpy.concatenate([a[LOOKAHEAD:], numpy.zeros((LOOKAHEAD,) + a.shape[1:])])
    erb, spec = ahead(erb), ahead(spec)
    out = network(erb, numpy.stack([spec.real, spec.imag]))
    mask = out["m"][0].astype(numpy.float64)
    coefs = out["coefs"].astype(numpy.float64).reshape(len(mask), DF_BINS, ORDER, 2)
    coefs = coefs[..., 0] + 1j * coefs[..., 1]
    share = 0 if limit is None else 10 ** (-limit / 20)
    enhanced = []
    for channel in channels:
        noisy = analysis(pad(channel))
        y = noisy * numpy.repeat(mask, WIDTHS, axis=1)
        near = numpy.pad(noisy[:, :DF_BINS], ((LOOKAHEAD, ORDER - 1 - LOOKAHEAD), (0, 0)))
        taps = [coefs[:, :, o] * near[o : o + len(noisy)] for o in range(ORDER)]
        y[:, :DF_BINS] = numpy.sum(taps, 0)
        enhanced.append(synthesis((1 - share) * y + share * noisy)[HOP : HOP + n])
    return numpy.reshape(enhanced, numpy.shape(x)), out["lsnr"][:, 0]


def si_sdr(got, want):
    """dB; both are whole signals, aligned"""
    got, want = numpy.ravel(got).astype(numpy.float64), numpy.ravel(want).astype(numpy.float64)
    part = got @ want / max(want @ want, 1e-300) * want
    return 10 * numpy.log10((part @ part + 1e-300) / ((got - part) @ (got - part) + 1e-300))
