"""The denoisers that are compared: each a function of (samples, rate, seconds of noise
at the start or 0) that gives samples of the same shape, or None where it cannot."""
import os
import pathlib
import subprocess
import tempfile

import numpy as np
import soundfile

WOODSHED = os.environ.get("WOODSHED", "build/woodshed-engine")


def aligned(x, y):
    """y without its delay against x (afftdn and anlmdn have one), as long as x."""
    n = 1 << int(np.ceil(np.log2(len(x) + len(y))))
    c = np.fft.irfft(np.conj(np.fft.rfft(x[:, 0], n)) * np.fft.rfft(y[:, 0], n))
    y = y[int(np.argmax(np.abs(c[:16384]))):][: len(x)]
    return np.pad(y, ((0, len(x) - len(y)), (0, 0)))


def through(x, rate, command):
    """Runs a command made by command(in, out) on files."""
    with tempfile.TemporaryDirectory() as folder:
        a, b = pathlib.Path(folder, "a.wav"), pathlib.Path(folder, "b.wav")
        soundfile.write(a, x, rate, "FLOAT")
        for line in command(a, b):
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        y = soundfile.read(b, always_2d=True)[0]
    return aligned(x, y)


def woodshed(method, *options):
    def run(x, rate, marked):
        more = list(options) + (["--noise-from", f"0-{marked}"] if marked else [])
        return through(x, rate, lambda a, b: [[WOODSHED, "denoise", "--method", method, *more, a, b]])

    return run


def afftdn(blind):
    def run(x, rate, marked):
        f = f"asendcmd=0.0 afftdn sn start,asendcmd={marked} afftdn sn stop,afftdn" if marked else blind
        return through(x, rate, lambda a, b: [["ffmpeg", "-y", "-i", a, "-af", f, "-c:a", "pcm_f32le", b]])

    return run


def anlmdn(x, rate, marked):
    return through(x, rate, lambda a, b: [["ffmpeg", "-y", "-i", a, "-af", "anlmdn", "-c:a", "pcm_f32le", b]])


def noisered(x, rate, marked):
    if not marked:
        return None
    return through(x, rate, lambda a, b: [
        ["sox", a, "-n", "trim", "0", str(marked), "noiseprof", f"{a}.prof"],
        ["sox", a, "-e", "floating-point", "-b", "32", b, "noisered", f"{a}.prof", "0.21"]])


def noisereduce(stationary):
    def run(x, rate, marked):
        import noisereduce as nr

        more = {"y_noise": x[: int(marked * rate)].T} if marked and stationary else {}
        return nr.reduce_noise(x.T, rate, stationary=stationary, **more).T.reshape(x.shape)

    return run


OURS = {"wiener": woodshed("wiener"), "ss": woodshed("ss")}
PEERS = {
    "afftdn": afftdn("afftdn"),
    "afftdn tn": afftdn("afftdn=tn=1"),
    "anlmdn": anlmdn,
    "sox": noisered,
    "nr stat": noisereduce(True),
    "nr nonst": noisereduce(False),
}
