"""The peer of tests/bench/bench_diffusion: the same folder through diffusers.

    python peer_stable_audio.py DIR f32|bf16 [seconds to decode]

Prints one JSON object: seconds of one step with guidance over the whole window, of
decoding one second of audio (wall time, and the processor's divided by the threads),
and peak_bytes.  Needs torch, transformers 4.47 and diffusers 0.32; nothing of woodshed
does.
"""
import json
import resource
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import torch
from diffusers import AutoencoderOobleck, StableAudioDiTModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed

folder, precision = sys.argv[1], sys.argv[2]
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5
THREADS = 2
torch.set_num_threads(THREADS)
dtype = torch.bfloat16 if precision == "bf16" else torch.float32


def timed(f):
    wall, cpu = time.time(), time.process_time()
    f()
    return time.time() - wall, (time.process_time() - cpu) / THREADS


out = {"torch": torch.__version__}
with torch.inference_mode():
    dit = StableAudioDiTModel.from_pretrained(folder, subfolder="transformer", torch_dtype=dtype).eval()
    x, t = torch.randn(2, 64, 1024, dtype=dtype), torch.tensor([0.5], dtype=dtype)
    text = torch.randn(2, 130, 768, dtype=dtype)
    both = torch.randn(2, 1, 1536, dtype=dtype)
    position = get_1d_rotary_pos_embed(32, 1025, use_real=True, repeat_interleave_real=False)
    runs = [timed(lambda: dit(x, t, encoder_hidden_states=text, global_hidden_states=both,
        rotary_embedding=position, return_dict=False)) for _ in range(2)]
    out["step_s"], out["step_s_cpu"] = (min(r[i] for r in runs) for i in range(2))
    out["step_peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    del dit
    vae = AutoencoderOobleck.from_pretrained(folder, subfolder="vae", torch_dtype=dtype).eval()
    z = torch.randn(1, 64, round(seconds * 44100 / 2048), dtype=dtype)
    wall, cpu = timed(lambda: vae.decode(z))
    out["decode_s"], out["decode_s_cpu"] = wall / seconds, cpu / seconds
out["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(out))
