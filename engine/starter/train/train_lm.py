#!/usr/bin/env python3
"""Trains tokenizer, text encoder and decoder on the codec's codes, and exports.

    train_lm.py DATA OUT [--device cpu|cuda] [--steps N] [--batch N] [--minutes M]
                [--from FOLDER] [--openings DATA] [--opening-share S]
    train_lm.py DATA OUT --export FOLDER

OUT holds codec.pt (train_codec.py); added are spiece.model, codes.npy, lm.pt
(resumed from) and lm.csv.  Codes are laid out with the delay pattern; one text
in ten is dropped, so that guidance works.

What words mean is worth little to a loss over ten seconds: once a piece has
begun, it tells its own tempo.  Left to that loss alone, a decoder learns styles
and passes over numbers.  Two things help: the states of the text and of the
decoder's middle layer must tell what is in the plan (Guides; not exported), and
many steps see nothing but how pieces begin, each with its text and with one that
lies (contrast()): with --openings of pieces of their own, which take less time to
make.

--from starts with an exported checkpoint; --export writes one, in half
precision.
"""

import argparse
import csv
import dataclasses
import json
import math
import pathlib
import re
import time

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from transformers import T5TokenizerFast
from transformers.models.musicgen import modeling_musicgen
from transformers.models.t5.tokenization_t5 import T5Tokenizer

import captions
import model as starter
import pieces
from train_codec import Pieces, share_gone, sizes_on_host

OPENING = 2 * starter.FRAME_RATE  # frames
EARLY = starter.FRAME_RATE // 2  # frames in which little but the text can tell a tempo
HELD_OUT = Pieces.HELD_OUT
CAPTIONS_READ = 3000  # pieces whose captions the tokenizer is made from


def read_plans(data):
    with (pathlib.Path(data) / "pieces.jsonl").open() as f:
        return [json.loads(line) for line in f]


def train_tokenizer(plans, out, size=2000):
    """A tempo is two or three digits, never one piece: then 91 bpm helps to learn 92.
    A substring becomes a piece only when several words share it, so every word
    of the captions is there with endings as well, and they split off."""
    path = out / "spiece.model"
    if not path.exists():
        lines = [c for p in plans[:CAPTIONS_READ] for c in p["captions"]]
        words = sorted({w for line in lines for w in re.findall(r"[^\W\d_]{3,}", line)})
        lines += [w + end for w in words for end in ("s", "y", "ed", "er", "ing", "ish", "like", "ness", "al", "ic", "less")]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_prefix=str(out / "spiece"),
            model_type="unigram", vocab_size=size, hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
            character_coverage=1.0, split_digits=True, normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(str(path))


@torch.no_grad()
def encode_all(codec, pieces, path, batch, frames):
    """Codes of every piece, [pieces, codebooks, frames]."""
    sizes_on_host(codec)
    frames = min(frames, pieces.size // starter.HOP)
    codes = np.load(path) if path.exists() else np.zeros((0, starter.CODEBOOKS, frames), np.uint16)
    n, new = len(pieces.audio), []
    for first in range(len(codes), n, batch):
        some = codec.encode(pieces.pieces(first, min(n, first + batch), frames * starter.HOP)).audio_codes[0]
        new.append(some.to(torch.int16))
        if (first + batch) % 800 < batch:
            print(f"codes of {first + batch} of {n} pieces", flush=True)
    if new:
        codes = np.concatenate([codes, torch.cat(new).cpu().numpy().astype(np.uint16)])
        np.save(path, codes)
    return codes[:n]


def delayed(codes):
    """[B, K, T] -> inputs and targets [B, K, T + K - 1]; target -100 where there is nothing to learn."""
    b, k, frames = codes.shape
    grid = torch.full((b, k, frames + k), starter.ENTRIES, device=codes.device)
    for q in range(k):
        grid[:, q, q + 1:q + 1 + frames] = codes[:, q]
    targets = grid[..., 1:].clone()
    targets[targets == starter.ENTRIES] = -100
    return grid[..., :-1], targets


LONGEST = 48  # tokens of a text


def token_ids(texts, words):
    out = np.zeros((len(texts), LONGEST), np.int32)
    for text, row in zip(texts, out):
        ids = (words.encode(text) + [1])[:LONGEST]
        row[:len(ids)] = ids
    return out


class Batches:
    """All texts, plans and codes, on the device."""

    def __init__(self, plans, codes, words, device):
        self.ids = torch.from_numpy(np.stack([token_ids(p["captions"], words) for p in plans])).to(device)
        self.labels = torch.tensor([Guides.labels(p) for p in plans], device=device)
        self.codes = torch.from_numpy(codes.astype(np.int16)).to(device)
        fields = {f.name for f in dataclasses.fields(pieces.Plan)}
        self.plans = [pieces.Plan(**{k: v for k, v in p.items() if k in fields}) for p in plans]

    def rows(self, rng, n):
        return rng.integers(HELD_OUT, len(self.codes), n)

    def draw(self, rng, n, of=None):
        """Codes [n, K, T], text ids and mask [n, S], labels."""
        rows = self.rows(rng, n) if of is None else of
        rows = torch.from_numpy(rows).to(self.codes.device)
        which = torch.from_numpy(rng.integers(self.ids.shape[1], size=n)).to(self.codes.device)
        ids = self.ids[rows, which].long()
        ids = ids[:, :int((ids != 0).sum(1).max())] if ids.device.type == "cpu" else ids
        return self.codes[rows].long(), ids, (ids != 0).long(), self.labels[rows]


def fresh_texts(rng, n, words, device):
    """Captions of plans that nobody has played: ids, mask, labels."""
    plans = [pieces.plan(int(rng.integers(10 ** 6, 4 * 10 ** 6))) for _ in range(n)]
    ids = torch.from_numpy(token_ids([captions.caption(p, rng) for p in plans], words)).to(device).long()
    return ids, (ids != 0).long(), torch.tensor([Guides.labels(dataclasses.asdict(p)) for p in plans], device=device)


def lie(plan, rng):
    """The plan with another tempo, without its drums or with some, or with other instruments."""
    style = pieces.STYLES[plan.style]
    what = rng.random()
    if what < 0.6:
        factor = math.exp(rng.uniform(0.08, 0.4) * (1 if rng.random() < 0.5 else -1))
        return dataclasses.replace(plan, bpm=int(min(185, max(52, round(plan.bpm * factor)))))
    if what < 0.85:
        return dataclasses.replace(plan, drums="" if plan.drums else style["drums"] or "")
    other = pieces.plan(int(rng.integers(10 ** 6, 4 * 10 ** 6)))
    return dataclasses.replace(plan, chords=other.chords, lead=other.lead, bright=other.bright)


def true_and_lie(plans, rng, words, device):
    """Texts that differ in what they tell and in little else: ids and masks of both."""
    texts = [[], []]
    for p in plans:
        for _ in range(100):
            seed, q = int(rng.integers(2 ** 32)), lie(p, rng)
            a, b = (captions.caption(x, np.random.default_rng(seed)) for x in (p, q))
            if a != b:
                break
        texts[0].append(a)
        texts[1].append(b)
    ids = torch.from_numpy(token_ids(texts[0] + texts[1], words)).to(device).long()
    ids = ids[:, :int((ids != 0).sum(1).max())]
    return ids, (ids != 0).long()


class Guides(nn.Module):
    """Linear readings of a plan from hidden states: what a state must say so that they can be right."""

    PARTS = {"style": list(pieces.STYLES), "drums": ["", *pieces.PATTERNS], "bass": ["", *captions.INSTRUMENT],
             "chords": ["", *captions.INSTRUMENT], "lead": ["", *captions.INSTRUMENT], "key": list(range(12)),
             "mode": list(pieces.SCALES), "metre": [3, 4], "colour": ["", "vinyl", "tape"]}
    SLOWEST, STEP, TEMPI = 55.0, 0.03, 41  # beats a minute, ratio from one to the next, how many
    WEIGHTS = {"bpm": 3.0, "drums": 3.0}

    def __init__(self, width):
        super().__init__()
        self.text, self.middle = nn.Linear(width, self.outputs()), nn.Linear(width, self.outputs())

    @classmethod
    def outputs(cls):
        return cls.TEMPI + 1 + sum(map(len, cls.PARTS.values()))

    @classmethod
    def labels(cls, plan):
        """Tempo in steps, brightness, then the index in each of PARTS."""
        return [math.log(plan["bpm"] / cls.SLOWEST) / cls.STEP, plan["bright"]] + [
            float(names.index(plan[part])) for part, names in cls.PARTS.items()]

    def loss(self, head, states, labels):
        """states [n, width], labels [n, ...]: mean cross entropy."""
        y = head(F.layer_norm(states, states.shape[-1:])).float()
        at = torch.arange(self.TEMPI, device=y.device)
        wanted = torch.softmax(-0.5 * (at - labels[:, :1]) ** 2, -1)
        total = self.WEIGHTS["bpm"] * F.cross_entropy(y[:, :self.TEMPI], wanted)
        total = total + 4 * F.mse_loss(y[:, self.TEMPI], labels[:, 1])
        first = self.TEMPI + 1
        for i, (part, names) in enumerate(self.PARTS.items()):
            total = total + self.WEIGHTS.get(part, 1.0) * F.cross_entropy(y[:, first:first + len(names)], labels[:, 2 + i].long())
            first += len(names)
        return total / (len(self.PARTS) + 6)

    @staticmethod
    def pooled(states, mask):
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, **_):
    """PyTorch's fused attention takes 2.5 times as long on CPUs, most of it going backwards."""
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
    if is_causal:
        n = scores.shape[-1]
        attn_mask = torch.full((n, n), -1e4, dtype=scores.dtype).triu(1)
    if attn_mask is not None:
        scores = scores + attn_mask.to(scores.dtype)
    return torch.matmul(torch.softmax(scores, -1), v)


def attend(self, hidden_states, key_value_states=None, attention_mask=None, **_):
    """MusicgenSdpaAttention.forward without its questions to the GPU, one a layer."""
    source = hidden_states if key_value_states is None else key_value_states
    q, k, v = (x.view(len(x), -1, self.num_heads, self.head_dim).transpose(1, 2)
               for x in (self.q_proj(hidden_states), self.k_proj(source), self.v_proj(source)))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, is_causal=key_value_states is None)
    return self.out_proj(y.transpose(1, 2).flatten(2)), None, ()


def additive(mask, dtype, tgt_len=None):
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask == 0, -1e4)[:, None, None].expand(-1, 1, tgt_len, -1)


def quicken(device):
    """What of transformers is too slow to train with, replaced."""
    modeling_musicgen.MusicgenSdpaAttention.forward = attend
    modeling_musicgen._prepare_4d_attention_mask_for_sdpa = additive
    if device.type == "cpu":
        F.scaled_dot_product_attention = attention


def encode_text(model, ids, mask):
    return model.enc_to_dec_proj(model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state)


def decode(model, codes, states, mask):
    """codes [B, K, T]: the nats of each, [B, K, T + K - 1], 0 where there is none; the middle layer's states."""
    inputs, targets = delayed(codes)
    out = model.decoder(input_ids=inputs.flatten(0, 1), encoder_hidden_states=states, encoder_attention_mask=mask,
                        use_cache=False, output_hidden_states=True)
    nats = F.cross_entropy(out.logits.flatten(0, 1).float(), targets.flatten(), reduction="none", ignore_index=-100)
    return nats.view_as(targets), out.hidden_states[len(out.hidden_states) // 2]


def forward(model, codes, states, mask, dropped):
    """Mean loss over the codebooks, and the middle layer's states; dropped [n]: whose text is
    left out.  Attention to states of zero adds nothing (values have no bias), as when there
    is no text, and unlike an empty mask it keeps the fast attention."""
    nats, middle = decode(model, codes, states * (mask * (~dropped).long()[:, None])[..., None], mask)
    return nats.sum((0, 2)) / codes[:, 0].numel(), middle


def contrast(model, guides, batches, rng, n, words, device):
    """Openings with their text and with one that lies.  What both have in common, which is
    nearly all of either's loss and all of its noise, cancels out in the difference.  Loss,
    the decoder's own part, the share of openings that their own text fits better."""
    rows = batches.rows(rng, n)
    codes, _, _, labels = batches.draw(rng, n, rows)
    codes = codes[..., :OPENING]
    ids, mask = true_and_lie([batches.plans[r] for r in rows], rng, words, device)
    model.eval()  # dropout would differ between the two
    nats, middle = decode(model, codes.repeat(2, 1, 1), encode_text(model, ids, mask), mask)
    model.train()
    nats = nats.view(2, n, *nats.shape[1:])
    apart = nats.sum((2, 3))
    own = nats[0].sum() / codes.numel()
    heard = guides.loss(guides.middle, middle[:n, :EARLY].flatten(0, 1), labels.repeat_interleave(EARLY, 0))
    return F.softplus(apart[0] - apart[1]).mean(), own, heard, (apart[0] < apart[1]).float().mean(), (apart[1] - apart[0]).mean()


@torch.no_grad()
def evaluate(model, batches, device):
    """Held-out loss with the text, without, and with another piece's: the differences are what words are worth."""
    model.eval()
    rng, sums = np.random.default_rng(7), np.zeros(3)
    for i in range(0, HELD_OUT, 8):
        codes, ids, mask, _ = batches.draw(rng, 8, np.arange(i, i + 8))
        states = encode_text(model, ids, mask)
        keep = torch.zeros(8, dtype=torch.bool, device=device)
        for j, (s, m, drop) in enumerate(((states, mask, keep), (states, mask, ~keep), (states.roll(1, 0), mask.roll(1, 0), keep))):
            sums[j] += forward(model, codes, s, m, drop)[0].mean().item() / (HELD_OUT // 8)
    model.train()
    return sums


def load_codec(out, device):
    codec = starter.make_codec()
    codec.load_state_dict(torch.load(out / "codec.pt", map_location="cpu", weights_only=True)["codec"])
    return codec.to(device).eval()


def leave_headroom(codec, gain=0.7):
    """Music of training is loud, and what the decoder makes of unlikely codes louder still: without
    this, one take in twenty clipped.  The encoder makes up for it, so a prompt's level is kept."""
    def gains(conv):
        return conv.parametrizations.weight.original0

    first, last = codec.encoder.layers[0].conv, codec.decoder.layers[-1].conv
    gains(first).mul_(1 / gain)
    gains(last).mul_(gain)
    last.bias.mul_(gain)


@torch.no_grad()
def export(model, out, folder):
    """The checkpoint in Hugging Face layout, in half precision but for the positions: those are
    computed anew in single precision by some who load it, and must be the same for all."""
    folder.mkdir(parents=True, exist_ok=True)
    leave_headroom(model.audio_encoder)
    positions = {k: v.clone() for k, v in model.state_dict().items() if "embed_positions" in k}
    half = model.half()
    state = {k: v for k, v in half.state_dict().items() if not k.endswith("encoder.embed_tokens.weight")} | positions
    half.save_pretrained(folder, state_dict=state, safe_serialization=True)
    (folder / "spiece.model").write_bytes((out / "spiece.model").read_bytes())
    slow = T5Tokenizer(str(out / "spiece.model"), extra_ids=0, legacy=True)
    T5TokenizerFast(vocab_file=str(out / "spiece.model"), extra_ids=0, legacy=True).backend_tokenizer.save(
        str(folder / "tokenizer.json"))
    slow.save_pretrained(folder)
    tokens = folder / "tokenizer.json"
    tokens.write_text(tokens.read_text().rstrip("\n") + "\n")
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
    parser.add_argument("--batch", type=int, default=8, help="pieces; of openings so many that there is as much of them")
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--text-rate", type=float, default=1.0, help="of the text encoder, times --rate")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--guides", type=float, default=0.3, help="weight of what states must tell")
    parser.add_argument("--contrast", type=float, default=0.05, help="weight of what parts true texts from lies")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="start", type=pathlib.Path)
    parser.add_argument("--openings", type=pathlib.Path, help="pieces of a few seconds, more than there are long ones")
    parser.add_argument("--opening-share", type=float, default=0.5, help="of the steps")
    parser.add_argument("--export", type=pathlib.Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    device, began, saved = torch.device(args.device), time.time(), time.time()
    quicken(device)
    plans = read_plans(args.data)
    words = train_tokenizer(plans, args.out)
    codec = load_codec(args.out, device)
    model = starter.make_model(words.vocab_size(), codec).to(device).train()
    model.audio_encoder.requires_grad_(False)
    guides = Guides(model.decoder.config.hidden_size).to(device)
    kinds = {True: [], False: []}
    for name, p in model.named_parameters():
        if p.requires_grad and "embed_positions" not in name:
            kinds[name.startswith(("text_encoder", "enc_to_dec_proj"))].append(p)
    kinds[True] += guides.parameters()
    weights = kinds[True] + kinds[False]
    optimiser = torch.optim.AdamW([dict(params=kinds[True], share=args.text_rate), dict(params=kinds[False], share=1.0)],
                                  args.rate, (0.9, 0.95), weight_decay=0.05, fused=args.device == "cuda")
    step, path = 0, args.out / "lm.pt"
    if path.exists():
        state = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(state["model"], strict=False)
        guides.load_state_dict(state["guides"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    elif args.start:
        model.load_state_dict({k: v.float() for k, v in load_file(args.start / "model.safetensors").items()}, strict=False)
    if args.export:
        export(model.cpu().eval(), args.out, args.export)
        return

    def load(folder, plans, name, frames=starter.SECONDS * starter.FRAME_RATE):
        codes = encode_all(codec, Pieces(folder, device), args.out / name, 8 if args.device == "cpu" else 64, frames)
        print(f"{len(codes)} pieces  {time.time() - began:.0f} s", flush=True)
        return Batches(plans[: len(codes)], codes, words, device)

    whole = load(args.data, plans, "codes.npy")
    openings = load(args.openings, read_plans(args.openings), "openings.npy", OPENING + 10) if args.openings else whole

    def save():
        kept = {k: v for k, v in model.state_dict().items() if not k.startswith("audio_encoder")}
        torch.save(dict(model=kept, guides=guides.state_dict(), optimiser=optimiser.state_dict(), step=step),
                   path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    rng = np.random.default_rng([args.seed, step])
    log = csv.writer((args.out / "lm.csv").open("a", buffering=1))
    while (gone := share_gone(step, began, args)) < 1:
        warm = min(1.0, (step + 1) / 200) * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * gone)))
        for group in optimiser.param_groups:
            group["lr"] = args.rate * warm * group["share"]
        with torch.autocast(args.device, torch.bfloat16, enabled=args.device == "cuda" or torch.backends.mkldnn.is_available()):
            if rng.random() < args.opening_share:
                n = args.batch * whole.codes.shape[-1] // OPENING // 2
                apart, own, heard, right, margin = contrast(model, guides, openings, rng, n, words, device)
                loss = own + args.contrast * apart + args.guides * heard
                told = ["opening", own, apart, right, margin, heard]
            else:
                codes, ids, mask, labels = whole.draw(rng, args.batch)
                more_ids, more_mask, more_labels = fresh_texts(rng, 8 * args.batch, words, device)
                dropped = torch.from_numpy(rng.random(args.batch) < 0.1).to(device)
                each, middle = forward(model, codes, encode_text(model, ids, mask), mask, dropped)
                heard = guides.loss(guides.middle, middle.flatten(0, 1), labels.repeat_interleave(middle.shape[1], 0))
                read = guides.loss(guides.text, Guides.pooled(encode_text(model, more_ids, more_mask), more_mask), more_labels)
                loss = each.mean() + args.guides * (heard + read)
                told = ["whole", *each, heard, read]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        step += 1
        if step % 5 == 0:
            log.writerow([step, int(time.time() - began), told[0], *(f"{float(v):.4f}" for v in told[1:])])
        if step % 500 == 0:
            worth = evaluate(model, whole, device)
            print(f"step {step}: held out {worth[0]:.3f}, without text {worth[1]:.3f}, another's {worth[2]:.3f}  "
                  f"{time.time() - began:.0f} s", flush=True)
        if time.time() - saved > 240:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    main()
