#!/usr/bin/env python3
"""Trains tokenizer, text encoder and decoder on the codec's codes, and exports.

    train_lm.py DATA OUT [--device cpu|cuda] [--steps N] [--batch N] [--minutes M]
                [--from FOLDER]
    train_lm.py DATA OUT --export FOLDER

OUT holds codec.pt (train_codec.py); added are spiece.model, codes.npy, lm.pt
(resumed from) and lm.csv.  Codes are laid out with the delay pattern; one text
in ten is dropped, so that guidance works.  Pieces that make_data.py adds
meanwhile are learnt from as well.

What words mean is worth little to a loss over ten seconds: once a piece has
begun, it tells its own tempo.  Left to that loss alone, a decoder learns styles
and passes over numbers.  So in half of the pieces most of what was
played is hidden from the decoder (gaps(); "word dropout" of Bowman et al. 2016,
"Generating Sentences from a Continuous Space", section 3.1), and only the text
and the position are left to tell where the next beat falls.  And the states of
the text and of the decoder's middle layer must tell what is in the plan, the
middle layer also where in the beat each frame is (Guides; not exported).

--from starts with an exported checkpoint; --export writes one, in half
precision.
"""

import argparse
import csv
import dataclasses
import itertools
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

HELD_OUT = Pieces.HELD_OUT
MOST_GAPS, LEAST_GAPS = 0.7, 0.25  # share of pieces with gaps, at first and in the end
CAPTIONS_READ = 3000  # pieces whose captions the tokenizer is made from


def read_plans(data, first=0, last=None):
    """Of pieces first .. last - 1, as far as there are whole lines."""
    with (pathlib.Path(data) / "pieces.jsonl").open() as f:
        return [json.loads(line) for line in itertools.islice(f, first, last) if line.endswith("\n")]


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


class Corpus:
    """Codes, captions and plans of all pieces there are by now, on the device."""

    def __init__(self, folder, out, codec, words, frames, device):
        self.folder, self.codec, self.words, self.device = pathlib.Path(folder), codec, words, device
        self.frames, self.kept, self.plans = frames, out / "codes.npy", []
        self.codes = torch.empty((0, starter.CODEBOOKS, frames), dtype=torch.int16, device=device)
        self.ids = self.labels = None
        sizes_on_host(codec)
        if self.kept.exists() and self.kept.stat().st_mtime < (out / "codec.pt").stat().st_mtime:
            self.kept.unlink()  # of the codec before it was trained on
        self.look()

    @torch.no_grad()
    def encode(self, first, last, kept):
        """Codes of pieces first .. last - 1; those of the first `kept` were written by an earlier run."""
        if first < len(kept):
            return torch.from_numpy(kept[first:min(last, len(kept))].astype(np.int16)).to(self.device)
        size = starter.RATE * self.seconds
        audio = np.memmap(self.folder / "audio.i16", "<i2", "r", offset=2 * size * first, shape=(last - first, size))
        x = torch.from_numpy(audio[:, : self.frames * starter.HOP].copy()).to(self.device)[:, None].float() / 32768.0
        return self.codec.encode(x).audio_codes[0].to(torch.int16)

    def look(self, most=10 ** 9):
        """Takes in what is new, up to so many pieces."""
        plans = read_plans(self.folder, len(self.plans), len(self.plans) + most)
        if not plans:
            return
        self.seconds = int(plans[0]["seconds"])
        kept = np.load(self.kept, mmap_mode="r") if self.kept.exists() and not self.plans else np.zeros((0, 1, 1))
        batch, first, codes = 8 if self.device.type == "cpu" else 64, len(self.plans), [self.codes]
        last = first + len(plans)
        while first < last:
            codes.append(self.encode(first, min(last, first + batch), kept))
            first += len(codes[-1])
        self.codes = torch.cat(codes)
        ids = torch.from_numpy(np.stack([token_ids(p["captions"], self.words) for p in plans])).to(self.device)
        labels = torch.tensor([Guides.labels(p) for p in plans], device=self.device)
        self.ids = torch.cat([self.ids, ids]) if self.plans else ids
        self.labels = torch.cat([self.labels, labels]) if self.plans else labels
        self.plans += plans

    def save(self):
        np.save(self.kept, self.codes.cpu().numpy().astype(np.uint16))

    def texts(self, rng, rows):
        """One caption of each: ids and mask [n, S]."""
        which = torch.from_numpy(rng.integers(self.ids.shape[1], size=len(rows))).to(self.device)
        ids = self.ids[rows, which].long()
        ids = ids[:, :int((ids != 0).sum(1).max())] if self.device.type == "cpu" else ids
        return ids, (ids != 0).long()

    def rows(self, rng, n):
        return torch.from_numpy(rng.integers(HELD_OUT, len(self.plans), n)).to(self.device)


def gaps(rng, n, columns, share):
    """What of n pieces the decoder does not get to see, [n, columns]: of that share of them
    everything, or all but a second here and there."""
    hidden = np.zeros((n, columns), bool)
    for row, kind in zip(hidden, rng.random(n) / max(share, 1e-9)):
        if kind >= 1:
            continue
        row[:] = True
        at = int(rng.integers(100))
        while kind < 0.75 and at < columns:
            shown = int(rng.integers(5, 60))
            row[at:at + shown] = False
            at += shown + int(rng.integers(25, 200))
    return hidden


def plan_of(line):
    return pieces.Plan(**{f.name: line[f.name] for f in dataclasses.fields(pieces.Plan)})


LIES = ("bpm", "drums", "instruments")


def lie(plan, what, rng):
    """The plan with another tempo, without its drums or with some, or with other instruments."""
    if what == "bpm":
        factor = math.exp(rng.uniform(0.08, 0.4) * (1 if rng.random() < 0.5 else -1))
        return dataclasses.replace(plan, bpm=int(min(185, max(52, round(plan.bpm * factor)))))
    if what == "drums":
        return dataclasses.replace(plan, drums="" if plan.drums else pieces.STYLES[plan.style]["drums"] or "")
    other = pieces.plan(int(rng.integers(10 ** 6, 4 * 10 ** 6)))
    return dataclasses.replace(plan, chords=other.chords, lead=other.lead)


def true_and_lie(plan, what, rng):
    """Two captions that differ in nothing but what the lie is about; none where there are no such."""
    for _ in range(50):
        seed, q = int(rng.integers(2 ** 32)), lie(plan, what, rng)
        a, b = (captions.caption(x, np.random.default_rng(seed)) for x in (plan, q))
        if a != b:
            return a, b
    return None


class Guides(nn.Module):
    """Linear readings of a plan from hidden states: what a state must say so that they can be right."""

    PARTS = {"style": list(pieces.STYLES), "drums": ["", *pieces.PATTERNS], "bass": ["", *captions.INSTRUMENT],
             "chords": ["", *captions.INSTRUMENT], "lead": ["", *captions.INSTRUMENT], "key": list(range(12)),
             "mode": list(pieces.SCALES), "metre": [3, 4], "colour": ["", "vinyl", "tape"]}
    SLOWEST, STEP, TEMPI = 55.0, 0.03, 41  # beats a minute, ratio from one to the next, how many
    WEIGHTS = {"bpm": 3.0, "drums": 3.0}
    PERIODS = (0.5, 1.0, 2.0)  # in beats

    def __init__(self, width):
        super().__init__()
        self.text, self.middle = nn.Linear(width, self.outputs()), nn.Linear(width, self.outputs())
        self.beat = nn.Linear(width, 2 * len(self.PERIODS))

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

    def beat_loss(self, states, labels):
        """states [n, columns, width] of the middle layer: how far they are from telling the phase."""
        y = self.beat(F.layer_norm(states, states.shape[-1:])).float()
        bpm = self.SLOWEST * torch.exp(self.STEP * labels[:, :1])
        beats = torch.arange(y.shape[1], device=y.device) / starter.FRAME_RATE * bpm / 60
        phase = torch.stack([2 * math.pi * beats / p for p in self.PERIODS], -1)
        return F.mse_loss(y, torch.cat([phase.cos(), phase.sin()], -1))

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


def decode(model, codes, states, mask, hidden=None):
    """codes [B, K, T]: the nats of each, [B, K, T + K - 1], 0 where there is none; the middle layer's
    states.  hidden [B, T + K - 1]: what is not seen of them."""
    inputs, targets = delayed(codes)
    if hidden is not None:
        inputs = inputs.masked_fill(hidden[:, None], starter.ENTRIES)
    out = model.decoder(input_ids=inputs.flatten(0, 1), encoder_hidden_states=states, encoder_attention_mask=mask,
                        use_cache=False, output_hidden_states=True)
    nats = F.cross_entropy(out.logits.flatten(0, 1).float(), targets.flatten(), reduction="none", ignore_index=-100)
    return nats.view_as(targets), out.hidden_states[len(out.hidden_states) // 2]


def forward(model, codes, states, mask, dropped, hidden=None):
    """Mean loss over the codebooks, and the middle layer's states; dropped [n]: whose text is
    left out.  Attention to states of zero adds nothing (values have no bias), as when there
    is no text, and unlike an empty mask it keeps the fast attention."""
    nats, middle = decode(model, codes, states * (mask * (~dropped).long()[:, None])[..., None], mask, hidden)
    return nats.sum((0, 2)) / codes[:, 0].numel(), middle


@torch.no_grad()
def evaluate(model, corpus, words, device):
    """Held-out nats a frame with the text, without, and with another piece's: what words are worth.
    And of each kind of lie, how many pieces fit their own text better, by their first two seconds
    and as a whole."""
    model.eval()
    rng, sums, right = np.random.default_rng(7), np.zeros(3), {}
    for rows in torch.arange(HELD_OUT, device=device).split(8):
        codes, (ids, mask) = corpus.codes[rows].long(), corpus.texts(rng, rows)
        states = encode_text(model, ids, mask)
        keep = torch.zeros(len(rows), dtype=torch.bool, device=device)
        for j, (s, m, drop) in enumerate(((states, mask, keep), (states, mask, ~keep), (states.roll(1, 0), mask.roll(1, 0), keep))):
            sums[j] += forward(model, codes, s, m, drop)[0].mean().item() / (HELD_OUT // 8)
    for what in LIES:
        apart = []
        for rows in torch.arange(HELD_OUT, device=device).split(16):
            told = [(row, true_and_lie(plan_of(corpus.plans[row]), what, rng)) for row in rows.tolist()]
            told = [(row, both) for row, both in told if both]
            ids = torch.from_numpy(token_ids([text for texts in zip(*(both for _, both in told)) for text in texts], words))
            ids = ids.to(device).long()
            mask, codes = (ids != 0).long(), corpus.codes[[row for row, _ in told]].long()
            nats = decode(model, codes.repeat(2, 1, 1), encode_text(model, ids, mask), mask)[0].sum(1)
            nats = nats[len(told):] - nats[:len(told)]
            apart.append(torch.stack([nats[:, :2 * starter.FRAME_RATE].sum(1), nats.sum(1)], 1))
        apart = torch.cat(apart).cpu()
        right[what] = [*(apart > 0).float().mean(0).tolist(), *apart.mean(0).tolist()]
    model.train()
    return sums, right


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
    parser.add_argument("--batch", type=int, default=8, help="pieces")
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--text-rate", type=float, default=1.0, help="of the text encoder, times --rate")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--guides", type=float, default=0.3, help="weight of what states must tell")
    parser.add_argument("--tell", type=int, default=500, help="steps from one report to the next")
    parser.add_argument("--warm-up", type=int, default=800, help="steps in which only the text encoder learns")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="start", type=pathlib.Path)
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
        model.load_state_dict({k: v.float() for k, v in load_file(args.start / "model.safetensors").items()
                               if not k.startswith("audio_encoder")}, strict=False)
    if args.export:
        export(model.cpu().eval(), args.out, args.export)
        return

    corpus = Corpus(args.data, args.out, codec, words, starter.SECONDS * starter.FRAME_RATE, device)
    print(f"{len(corpus.plans)} pieces  {time.time() - began:.0f} s", flush=True)
    corpus.save()

    def save():
        kept = {k: v for k, v in model.state_dict().items() if not k.startswith("audio_encoder")}
        torch.save(dict(model=kept, guides=guides.state_dict(), optimiser=optimiser.state_dict(), step=step),
                   path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def read_texts(rng, n):
        rows = corpus.rows(rng, n)
        ids, mask = corpus.texts(rng, rows)
        return guides.loss(guides.text, Guides.pooled(encode_text(model, ids, mask), mask), corpus.labels[rows])

    def update(loss, rate):
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()

    rng, looked = np.random.default_rng([args.seed, step]), time.time()
    autocast = torch.autocast(args.device, torch.bfloat16, enabled=args.device == "cuda" or torch.backends.mkldnn.is_available())
    for i in range(0 if step else args.warm_up):
        with autocast:
            loss = read_texts(rng, 4 * args.batch)
        update(loss, 2 * args.rate * min(1.0, (i + 1) / 100) * (1.02 - i / args.warm_up))
        if (i + 1) % 200 == 0:
            print(f"text encoder, step {i + 1}: {loss.item():.3f}  {time.time() - began:.0f} s", flush=True)
    log = csv.writer((args.out / "lm.csv").open("a", buffering=1))
    while (gone := share_gone(step, began, args)) < 1:
        rows = corpus.rows(rng, args.batch)
        codes, (ids, mask), labels = corpus.codes[rows].long(), corpus.texts(rng, rows), corpus.labels[rows]
        dropped = torch.from_numpy(rng.random(args.batch) < 0.1).to(device)
        hidden = gaps(rng, args.batch, codes.shape[-1] + starter.CODEBOOKS - 1, MOST_GAPS + (LEAST_GAPS - MOST_GAPS) * gone)
        hidden = torch.from_numpy(hidden).to(device)
        with autocast:
            each, middle = forward(model, codes, encode_text(model, ids, mask), mask, dropped, hidden)
            heard = guides.loss(guides.middle, middle.flatten(0, 1), labels.repeat_interleave(middle.shape[1], 0))
            beat, read = guides.beat_loss(middle, labels), read_texts(rng, 4 * args.batch)
            loss = each.mean() + args.guides * (heard + 2 * beat + read)
        update(loss, args.rate * min(1.0, (step + 1) / 200) * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * gone))))
        step += 1
        if step % 10 == 0:
            log.writerow([step, int(time.time() - began), *(f"{float(v):.4f}" for v in (*each, heard, beat, read))])
        if step % args.tell == 0:
            worth, right = evaluate(model, corpus, words, device)
            lies = "".join(f", {what} {a:.2f} {b:.2f} ({c:.1f} {d:.1f})" for what, (a, b, c, d) in right.items())
            print(f"step {step}: held out {worth[0]:.3f}, without text {worth[1]:.3f}, another's {worth[2]:.3f}; "
                  f"better than a lie{lies}; beat {beat:.2f}; {len(corpus.plans)} pieces  {time.time() - began:.0f} s", flush=True)
        if time.time() - looked > 15:
            corpus.look(4000)
            looked = time.time()
        if time.time() - saved > 240:
            save()
            saved = time.time()
    save()
    corpus.save()


if __name__ == "__main__":
    main()
