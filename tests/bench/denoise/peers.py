"""The denoisers that are compared: each a function of (samples, rate, seconds of noise
at the start or 0) that gives samples of the same shape, or None where it cannot."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import soundfile

PARITY = pathlib.Path(__file__).resolve().parents[2] / "parity/df"
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


def deepfilternet(x, rate, marked):
    """The graphs through ONNX Runtime, as the parity test has them, at full strength."""
    from scipy import signal

    sys.path.insert(0, str(PARITY))
    import reference

    up = signal.resample_poly(x, 48000, rate, axis=0)
    level = 10 ** (-24 / 20) / np.sqrt(np.mean(up.mean(1) ** 2))  # as engine/denoise/df.h has it
    y = reference.enhance(reference.Network(pathlib.Path(os.environ["DF_ONNX"])), up.T, level * up.mean(1))[0].T
    return signal.resample_poly(y, rate, 48000, axis=0)[: len(x)]


def measured(command):
    """Runs a command: seconds of processor and clock, and peak memory in MB."""
    begin, peak = time.monotonic(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while True:
        # Not ru_maxrss, which begins with that of the process that forked.
        peak = max([peak] + [int(l.split()[1]) for l in status.read_text().splitlines() if l.startswith("VmHWM")])
        pid, code, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.01)
    process.returncode = code
    if code:
        raise SystemExit(f"{command[0]} failed")
    return used.ru_utime + used.ru_stime, time.monotonic() - begin, peak / 1024


OURS = {"wiener": woodshed("wiener"), "ss": woodshed("ss"), "df": woodshed("df")}
PEERS = {
    "afftdn": afftdn("afftdn"),
    "afftdn tn": afftdn("afftdn=tn=1"),
    "anlmdn": anlmdn,
    "sox": noisered,
    "nr stat": noisereduce(True),
    "nr nonst": noisereduce(False),
}
if "DF_ONNX" in os.environ:
    PEERS["DF onnx"] = deepfilternet
