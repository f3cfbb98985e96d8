#!/usr/bin/env python3
"""Trains tokenizer, text encoder and decoder on the codec's codes, and exports.

    train_lm.py DATA OUT [--device cpu|cuda] [--steps N] [--batch N] [--minutes M]
    train_lm.py DATA OUT --export FOLDER

OUT holds codec.pt (train_codec.py); added are spiece.model, codes.npy, lm.pt
(resumed from) and lm.csv.  Codes are laid out with the delay pattern; one text
in ten is dropped, so that guidance works.  --export writes the checkpoint in
Hugging Face layout, in half precision.
"""

import argparse
import csv
import json
import math
import pathlib
import re
import time

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from transformers import T5TokenizerFast
from transformers.models.t5.tokenization_t5 import T5Tokenizer

import model as starter
from train_codec import Pieces, share_gone

FRAMES = starter.SECONDS * starter.FRAME_RATE
COLUMNS = FRAMES + starter.CODEBOOKS
HELD_OUT = 64


def read_captions(data):
    with (pathlib.Path(data) / "pieces.jsonl").open() as f:
        return [json.loads(line)["captions"] for line in f]


def train_tokenizer(captions, out, size=2000):
    """A tempo is two or three digits, never one piece: then 91 bpm helps to learn 92.
    A substring becomes a piece only when several words share it, so every word
    of the captions is there with endings as well, and they split off."""
    path = out / "spiece.model"
    if not path.exists():
        lines = [c for several in captions for c in several]
        words = sorted({w for line in lines for w in re.findall(r"[^\W\d_]{3,}", line)})
        lines += [w + end for w in words for end in ("s", "y", "ed", "er", "ing", "ish", "like", "ness", "al", "ic", "less")]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_prefix=str(out / "spiece"),
            model_type="unigram", vocab_size=size, hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
            character_coverage=1.0, split_digits=True, normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(str(path))


@torch.no_grad()
def encode_all(codec, pieces, path, device, batch=16):
    """Codes of every piece, [pieces, codebooks, frames]."""
    n = len(pieces.audio)
    codes = np.load(path) if path.exists() else np.zeros((0, starter.CODEBOOKS, FRAMES), np.uint16)
    while len(codes) < n:
        x = torch.from_numpy(pieces.audio[len(codes):len(codes) + batch] / np.float32(32768.0))[:, None].to(device)
        some = codec.encode(x).audio_codes[0].cpu().numpy().astype(np.uint16)
        codes = np.concatenate([codes, some[..., :FRAMES]])
        if len(codes) % 400 < batch:
            print(f"codes of {len(codes)} of {n} pieces", flush=True)
    np.save(path, codes)
    return codes[:n]


def delayed(codes):
    """[B, K, FRAMES] -> inputs and targets [B, K, COLUMNS - 1]; target -100 where there is nothing to learn."""
    b, k, _ = codes.shape
    grid = torch.full((b, k, COLUMNS), starter.ENTRIES, device=codes.device)
    for q in range(k):
        grid[:, q, q + 1:q + 1 + FRAMES] = codes[:, q]
    targets = grid[..., 1:].clone()
    targets[targets == starter.ENTRIES] = -100
    return grid[..., :-1], targets


class Batches:
    def __init__(self, captions, codes, words, longest=48):
        self.ids = [[(words.encode(c) + [1])[:longest] for c in several] for several in captions]
        self.codes = codes

    def draw(self, rng, n, device, of=None):
        """Codes [n, K, FRAMES], text ids and mask [n, S]."""
        rows = rng.integers(0, len(self.codes) - HELD_OUT, n) if of is None else of
        texts = [self.ids[r][int(rng.integers(len(self.ids[r])))] for r in rows]
        width = max(map(len, texts))
        ids = torch.tensor([t + [0] * (width - len(t)) for t in texts], device=device)
        codes = torch.from_numpy(self.codes[rows].astype(np.int64)).to(device)
        return codes, ids, (ids != 0).long()


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, **_):
    """PyTorch's fused attention takes 2.5 times as long on CPUs, most of it going backwards."""
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
    if is_causal:
        n = scores.shape[-1]
        attn_mask = torch.full((n, n), -1e4, dtype=scores.dtype).triu(1)
    if attn_mask is not None:
        scores = scores + attn_mask.to(scores.dtype)
    return torch.matmul(torch.softmax(scores, -1), v)


def forward(model, codes, ids, mask, dropped):
    """Mean loss over the codebooks; dropped [n]: whose text is left out.  Attention to
    states of zero adds nothing (values have no bias), as when there is no text, and
    unlike an empty mask it keeps the fast attention."""
    states = model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    states = model.enc_to_dec_proj(states) * (mask * (~dropped).long()[:, None])[..., None]
    inputs, targets = delayed(codes)
    logits = model.decoder(input_ids=inputs.flatten(0, 1), encoder_hidden_states=states,
                           encoder_attention_mask=mask).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none",
                           ignore_index=-100).view_as(targets).sum((0, 2)) / (targets != -100).sum((0, 2))


@torch.no_grad()
def evaluate(model, batches, device):
    """Held-out loss, with the text and without: the difference is what words are worth."""
    model.eval()
    rng, out = np.random.default_rng(7), []
    rows = np.arange(len(batches.codes) - HELD_OUT, len(batches.codes))
    for drop in (False, True):
        losses = []
        for i in range(0, HELD_OUT, 8):
            codes, ids, mask = batches.draw(rng, 8, device, rows[i:i + 8])
            losses.append(forward(model, codes, ids, mask, torch.full((8,), drop, device=device)).mean().item())
        out.append(sum(losses) / len(losses))
    model.train()
    return out


def load_codec(out, device):
    codec = starter.make_codec()
    codec.load_state_dict(torch.load(out / "codec.pt", map_location="cpu", weights_only=True)["codec"])
    return codec.to(device).eval()


def export(model, out, folder):
    """The checkpoint in Hugging Face layout.  Positions are left out: computed by whoever loads it."""
    folder.mkdir(parents=True, exist_ok=True)
    half = model.half()
    state = {k: v for k, v in half.state_dict().items() if "embed_positions" not in k and not k.endswith(
        ("embed_avg", "cluster_size", "encoder.embed_tokens.weight"))}
    half.save_pretrained(folder, state_dict=state, safe_serialization=True)
    (folder / "spiece.model").write_bytes((out / "spiece.model").read_bytes())
    slow = T5Tokenizer(str(out / "spiece.model"), extra_ids=0, legacy=True)
    T5TokenizerFast(vocab_file=str(out / "spiece.model"), extra_ids=0, legacy=True).backend_tokenizer.save(
        str(folder / "tokenizer.json"))
    slow.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(dict(
        feature_extractor_type="EncodecFeatureExtractor", feature_size=1, sampling_rate=starter.RATE, padding_side="left",
        padding_value=0.0, return_attention_mask=True, processor_class="MusicgenProcessor", chunk_length_s=None,
        overlap=None), indent=2, sort_keys=True) + "\n")
    starter.clean(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=pathlib.Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    if args.device == "cpu":
        F.scaled_dot_product_attention = attention
    device, began, saved = torch.device(args.device), time.time(), time.time()
    captions = read_captions(args.data)
    words = train_tokenizer(captions, args.out)
    codec = load_codec(args.out, device)
    model = starter.make_model(words.vocab_size(), codec).to(device).train()
    model.audio_encoder.requires_grad_(False)
    weights = [p for n, p in model.named_parameters() if p.requires_grad and "embed_positions" not in n]
    optimiser = torch.optim.AdamW(weights, args.rate, (0.9, 0.95), weight_decay=0.05)
    step, path = 0, args.out / "lm.pt"
    if path.exists():
        state = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(state["model"], strict=False)
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    if args.export:
        export(model.cpu().eval(), args.out, args.export)
        return
    codes = encode_all(codec, Pieces(args.data, HELD_OUT), args.out / "codes.npy", device)
    batches = Batches(captions[: len(codes)], codes, words)

    def save():
        kept = {k: v for k, v in model.state_dict().items() if not k.startswith("audio_encoder")}
        torch.save(dict(model=kept, optimiser=optimiser.state_dict(), step=step), path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    rng = np.random.default_rng([args.seed, step])
    log = csv.writer((args.out / "lm.csv").open("a", buffering=1))
    while (gone := share_gone(step, began, args)) < 1:
        warm = min(1.0, (step + 1) / 200) * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * gone)))
        for group in optimiser.param_groups:
            group["lr"] = args.rate * warm
        codes, ids, mask = batches.draw(rng, args.batch, device)
        dropped = torch.from_numpy(rng.random(args.batch) < 0.1).to(device)
        with torch.autocast(args.device, torch.bfloat16, enabled=args.device == "cuda" or torch.backends.mkldnn.is_available()):
            each = forward(model, codes, ids, mask, dropped)
        optimiser.zero_grad(set_to_none=True)
        each.mean().backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        step += 1
        if step % 20 == 0:
            log.writerow([step, *(f"{v:.4f}" for v in each.tolist()), int(time.time() - began)])
        if step % 500 == 0:
            with_text, without = evaluate(model, batches, device)
            print(f"step {step}: {' '.join(f'{v:.2f}' for v in each.tolist())}  held out {with_text:.3f}, "
                  f"without text {without:.3f}  {time.time() - began:.0f} s", flush=True)
        if time.time() - saved > 240:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    main()
