"""The peer of tests/bench/engine: the same folder through transformers.

    python peer.py DIR f32|bf16 [steps]

Prints one JSON object: load_s, t5_ms, steps_per_s (guidance 3, greedy, over
the first `steps` positions), decode_x (EnCodec, times real time), peak_bytes.
Needs torch and transformers 4.47; nothing of woodshed does.
"""
import json
import resource
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import torch
import transformers

transformers.logging.set_verbosity_error()

folder, precision = sys.argv[1], sys.argv[2]
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 100
torch.set_num_threads(2)
dtype = torch.bfloat16 if precision == "bf16" else torch.float32

start = time.time()
model = transformers.MusicgenForConditionalGeneration.from_pretrained(folder, torch_dtype=dtype)
model.eval()
load_s = time.time() - start

ids = torch.randint(5, 30000, (1, 28))
mask = torch.ones_like(ids)
out = {"load_s": load_s, "torch": torch.__version__, "transformers": transformers.__version__}
with torch.inference_mode():
    model.text_encoder(ids, attention_mask=mask)
    start = time.time()
    for _ in range(3):
        model.text_encoder(ids, attention_mask=mask)
    out["t5_ms"] = (time.time() - start) / 3 * 1000

    # The decode at the end of generate() is timed on its own and taken off.
    codes = torch.randint(0, 2048, (1, 1, model.decoder.config.num_codebooks, 250))
    codes = codes[:, :, :4] if model.decoder.config.audio_channels == 1 else codes[:, :, ::2]
    model.audio_encoder.decode(codes[..., :50], [None])
    start = time.time()
    model.audio_encoder.decode(codes, [None])
    decode_s = time.time() - start
    out["decode_x"] = 5.0 / decode_s

    model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=8, guidance_scale=3.0, do_sample=False)
    start = time.time()
    model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=steps, guidance_scale=3.0, do_sample=False)
    out["steps_per_s"] = steps / (time.time() - start - decode_s * (steps - 3) / 250)
out["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(out))
