#!/usr/bin/env python3
"""Trains the codec on the pieces of make_data.py.

    train_codec.py DATA OUT [--device cpu|cuda] [--steps N] [--batch N]
                   [--seconds S] [--plain N] [--minutes M] [--adversarial SHARE]

The first --plain steps go without the quantiser; then the codebooks are set by
k-means on what the encoder emits (with codes from the start the latents
collapse).  Codebooks follow by moving averages, entries nobody takes are drawn
anew.  Losses: log-mel at six resolutions, spectral convergence, waveform,
commitment; with --adversarial 0.6 a small multi-resolution discriminator for
the last four tenths.  The learning rate falls with the steps or with the
minutes, whichever are nearer their end.  OUT/codec.pt is written every few minutes and resumed from;
OUT/codec.csv holds the losses.
"""

import argparse
import csv
import json
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import model as starter


# ---- data --------------------------------------------------------------------


class Pieces:
    """Random clips of the audio file; the first HELD_OUT pieces are for measuring.  On a CPU
    it stays on disk.  make_data.py may still be at work: look() finds what it has added."""

    HELD_OUT = 64

    def __init__(self, folder, device):
        self.folder, self.device = pathlib.Path(folder), device
        with (self.folder / "pieces.jsonl").open() as f:
            self.size = int(json.loads(f.readline())["seconds"] * starter.RATE)
        self.audio = torch.empty((0, self.size), dtype=torch.int16, device=device)
        self.look()

    def look(self):
        with (self.folder / "pieces.jsonl").open("rb") as f:
            n = f.read().count(b"\n")
        if n > len(self.audio):
            on_disk = np.memmap(self.folder / "audio.i16", "<i2", "c", shape=(n, self.size))
            if self.device.type == "cpu":
                self.audio = torch.from_numpy(on_disk)
            else:
                more = torch.from_numpy(on_disk[len(self.audio):]).to(self.device)
                self.audio = torch.cat([self.audio, more])

    def clips(self, rng, batch, samples):
        out = []
        for _ in range(batch):
            at = int(rng.integers(self.size - samples + 1))
            row = int(rng.integers(min(self.HELD_OUT, len(self.audio) - 1), len(self.audio)))
            out.append(self.audio[row, at:at + samples] * (10 ** (rng.uniform(-6, 2) / 20) / 32768.0))
        return torch.stack(out)[:, None].float()

    def pieces(self, first, last, samples=None):
        return self.audio[first:last, :samples][:, None].float() / 32768.0


# ---- the quantiser -----------------------------------------------------------


class Quantiser(nn.Module):
    """Residual vector quantiser trained by moving averages (van den Oord et al.
    2017, appendix A.1), with entries that die drawn anew."""

    def __init__(self, books, entries, width, decay=0.99):
        super().__init__()
        self.decay = decay
        self.register_buffer("embed", torch.zeros(books, entries, width))
        self.register_buffer("mean", torch.zeros(books, entries, width))
        self.register_buffer("count", torch.ones(books, entries))

    @staticmethod
    def nearest(x, embed):
        return (2 * x @ embed.T - (embed * embed).sum(1)).argmax(1)

    @torch.no_grad()
    def start(self, z, rounds=20):
        """k-means, book after book, on latents [n, width]."""
        left = z
        for q in range(len(self.embed)):
            e = left[torch.randperm(len(left), device=z.device)[: self.embed.shape[1]]].clone()
            for _ in range(rounds):
                ids = self.nearest(left, e)
                count = torch.zeros(len(e), device=z.device).index_add_(0, ids, torch.ones(len(left), device=z.device))
                total = torch.zeros_like(e).index_add_(0, ids, left)
                e = torch.where(count[:, None] > 0, total / count.clamp(min=1)[:, None],
                                left[torch.randint(len(left), (len(e),), device=z.device)])
            self.embed[q], self.mean[q], self.count[q] = e, e, 1.0
            left = left - e[self.nearest(left, e)]

    def forward(self, z):
        """z [B, width, T] -> quantised (straight through), commitment loss."""
        x = z.transpose(1, 2).reshape(-1, z.shape[1])
        left, total, loss = x, torch.zeros_like(x), 0.0
        for q in range(len(self.embed)):
            ids = self.nearest(left.detach(), self.embed[q])
            chosen = self.embed[q][ids]
            if self.training:
                self.follow(q, left.detach(), ids)
            loss = loss + F.mse_loss(left, chosen.detach())
            total = total + chosen
            left = left - chosen.detach()
        y = (x + (total - x).detach()).reshape(z.shape[0], z.shape[2], -1).transpose(1, 2)
        return y, loss / len(self.embed)

    @torch.no_grad()
    def follow(self, q, x, ids):
        entries = self.embed.shape[1]
        count = torch.zeros(entries, device=x.device).index_add_(0, ids, torch.ones(len(x), device=x.device))
        total = torch.zeros_like(self.mean[q]).index_add_(0, ids, x)
        self.count[q].mul_(self.decay).add_(count, alpha=1 - self.decay)
        self.mean[q].mul_(self.decay).add_(total, alpha=1 - self.decay)
        self.embed[q] = self.mean[q] / self.count[q].clamp(min=1e-5)[:, None]
        # Entries that die are drawn anew; without asking the GPU whether there are any.
        dead = self.count[q] < 0.05 * len(x) / entries * 0.2
        fresh = x[torch.randint(len(x), (entries,), device=x.device)]
        self.embed[q] = torch.where(dead[:, None], fresh, self.embed[q])
        self.mean[q] = torch.where(dead[:, None], fresh * (len(x) / entries), self.mean[q])
        self.count[q] = torch.where(dead, len(x) / entries, self.count[q])


# ---- losses ------------------------------------------------------------------


def mel_bank(n_fft, bands):
    """Triangles on the mel scale, [bands, n_fft / 2 + 1]."""
    top = 2595 * math.log10(1 + starter.RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    f = torch.linspace(0, starter.RATE / 2, n_fft // 2 + 1)
    up = (f[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - f[None]) / (edges[2:] - edges[1:-1])[:, None]
    bank = torch.minimum(up, down).clamp(min=0)
    return bank / bank.sum(1, keepdim=True).clamp(min=1e-3)


class Spectra(nn.Module):
    """Mel spectra, the longer the finer, so that partials are told apart (Kumar et al. 2023)."""

    SIZES = ((64, 8), (128, 16), (256, 40), (512, 80), (1024, 160), (2048, 320))

    def __init__(self):
        super().__init__()
        for n, bands in self.SIZES:
            self.register_buffer(f"bank{n}", mel_bank(n, bands))
            self.register_buffer(f"window{n}", torch.hann_window(n))

    def mel(self, x, n):
        s = torch.stft(x.squeeze(1), n, n // 4, window=getattr(self, f"window{n}"), return_complex=True).abs()
        return getattr(self, f"bank{n}") @ s, s

    def forward(self, x, y):
        loss = 0.0
        for n, _ in self.SIZES:
            (mx, sx), (my, sy) = self.mel(x, n), self.mel(y, n)
            loss = loss + (mx.clamp(min=1e-4).log() - my.clamp(min=1e-4).log()).abs().mean()
            loss = loss + 0.5 * (sx - sy).norm() / sx.norm().clamp(min=1e-3)
        return loss / len(self.SIZES)


class Discriminator(nn.Module):
    """Convolutions over complex spectra of three sizes (Défossez et al. 2022, 3.4)."""

    SIZES = (2048, 1024, 512)

    def __init__(self, width=16):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm

        def one():
            c = [norm(nn.Conv2d(2, width, (3, 9), padding=(1, 4)))]
            c += [norm(nn.Conv2d(width, width, (3, 9), (1, 2), padding=(d, 4), dilation=(d, 1))) for d in (1, 2, 4)]
            return nn.ModuleList(c + [norm(nn.Conv2d(width, 1, (3, 3), padding=1))])

        self.nets = nn.ModuleList(one() for _ in self.SIZES)
        for n in self.SIZES:
            self.register_buffer(f"window{n}", torch.hann_window(n))

    def forward(self, x):
        out = []
        for n, net in zip(self.SIZES, self.nets):
            s = torch.stft(x.squeeze(1), n, n // 4, window=getattr(self, f"window{n}"), normalized=True,
                           return_complex=True)
            h, seen = torch.stack([s.real, s.imag], 1).transpose(2, 3), []
            for conv in net[:-1]:
                h = F.leaky_relu(conv(h), 0.2)
                seen.append(h)
            out.append((net[-1](h), seen))
        return out


def adversarial(d, x, y):
    """What the codec loses to the discriminator: scores, and features."""
    with torch.no_grad():
        real = d(x)
    score = features = 0.0
    for (_, fr), (s, fs) in zip(real, d(y)):
        score = score + F.relu(1 - s).mean()
        features = features + sum(F.l1_loss(b, a) / a.abs().mean().clamp(min=1e-3) for a, b in zip(fr, fs)) / len(fr)
    return score / len(real), features / len(real)


def judge(d, x, y):
    loss = sum(F.relu(1 - a).mean() + F.relu(1 + b).mean() for (a, _), (b, _) in zip(d(x), d(y.detach())))
    return loss / len(d.SIZES)


# ---- training ----------------------------------------------------------------


def sizes_on_host(codec):
    """transformers works out paddings from buffers: on a GPU each of 28 layers would wait for them."""
    for m in codec.modules():
        for name in ("stride", "kernel_size", "padding_total"):
            if name in m._buffers:
                m._buffers[name] = m._buffers[name].cpu()


@torch.no_grad()
def balance(codec, x):
    """Scales every convolution so that what leaves it has a deviation of one, and
    the last the music's (Mishkin and Matas 2016).  With PyTorch's own start each of
    the 28 layers shrinks what comes in, and hundreds of steps go by before any of
    the waveform reaches the other end."""
    convs = [m for m in codec.modules() if isinstance(m, (nn.Conv1d, nn.ConvTranspose1d))]

    def hook(conv, _, out):
        factor = (x.std() if conv is convs[-1] else 1.0) / out.std()
        (conv.parametrizations.weight.original0 if hasattr(conv, "parametrizations") else conv.weight_g).mul_(factor)
        return out * factor

    for conv in convs:
        conv.bias.zero_()
    hooks = [conv.register_forward_hook(hook) for conv in convs]
    codec.decoder(codec.encoder(x))
    for h in hooks:
        h.remove()


def si_sdr(x, y):
    x, y = x.flatten(1), y.flatten(1)
    s = (x * y).sum(1, keepdim=True) / (x * x).sum(1, keepdim=True).clamp(min=1e-8) * x
    return (10 * torch.log10((s * s).sum(1) / ((y - s) ** 2).sum(1).clamp(min=1e-8))).mean().item()


@torch.no_grad()
def evaluate(codec, quantiser, spectra, data, device, plain):
    """log-mel distance and SI-SDR on held-out pieces."""
    codec.eval(), quantiser.eval()
    x = data.pieces(0, 16, 4 * starter.RATE)
    z = codec.encoder(x)
    y = codec.decoder(z if plain else quantiser(z)[0])[..., : x.shape[-1]]
    (mx, _), (my, _) = spectra.mel(x, 2048), spectra.mel(y, 2048)
    distance = (mx.clamp(min=1e-4).log() - my.clamp(min=1e-4).log()).abs().mean().item()
    used = float("nan")
    if not plain:
        flat = z.transpose(1, 2).reshape(-1, z.shape[1])
        used = len(quantiser.nearest(flat, quantiser.embed[0]).unique()) / quantiser.embed.shape[1]
    codec.train(), quantiser.train()
    return distance, si_sdr(x, y), used


def into_codec(codec, quantiser):
    for layer, e in zip(codec.quantizer.layers, quantiser.embed):
        layer.codebook.embed.data.copy_(e)
        layer.codebook.embed_avg.data.copy_(e)
        layer.codebook.inited.fill_(1)


def share_gone(step, began, args):
    """0 to 1: by the steps or by the clock, whichever is nearer its end."""
    return max(step / args.steps, (time.time() - began) / (60 * args.minutes))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=30000)
    parser.add_argument("--plain", type=int, default=5000, help="steps before there are codes")
    parser.add_argument("--plain-share", type=float, default=0.4, help="or that share of the whole")
    parser.add_argument("--adversarial", type=float, default=2, help="from this share of the whole on; 2: never")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=1e9, help="stops, and saves, after so many")
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    device, began, saved = torch.device(args.device), time.time(), time.time()
    torch.backends.cudnn.benchmark = True
    data = Pieces(args.data, device)
    codec = starter.make_codec().to(device).train()
    sizes_on_host(codec)
    quantiser = Quantiser(starter.CODEBOOKS, starter.ENTRIES, codec.config.hidden_size).to(device)
    spectra, judges = Spectra().to(device), Discriminator().to(device)
    weights = list(codec.encoder.parameters()) + list(codec.decoder.parameters())
    optimiser = torch.optim.AdamW(weights, args.rate, (0.8, 0.99), weight_decay=1e-4, fused=device.type == "cuda")
    other = torch.optim.AdamW(judges.parameters(), args.rate, (0.8, 0.99), fused=device.type == "cuda")
    step, path, plain = 0, args.out / "codec.pt", True
    if path.exists():
        state = torch.load(path, map_location=device, weights_only=True)
        for key, thing in (("codec", codec), ("quantiser", quantiser), ("judges", judges), ("optimiser", optimiser),
                           ("other", other)):
            thing.load_state_dict(state[key])
        step, plain = state["step"], state.get("plain", state["step"] < args.plain)
    else:
        balance(codec, data.clips(np.random.default_rng(args.seed), args.batch, starter.RATE))

    def save():
        into_codec(codec, quantiser)
        torch.save(dict(codec=codec.state_dict(), quantiser=quantiser.state_dict(), judges=judges.state_dict(),
                        optimiser=optimiser.state_dict(), other=other.state_dict(), step=step, plain=plain), path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    samples = int(args.seconds * starter.FRAME_RATE) * starter.HOP
    rng = np.random.default_rng([args.seed, step])
    log = csv.writer((args.out / "codec.csv").open("a", buffering=1))
    while (gone := share_gone(step, began, args)) < 1:
        warm = min(1.0, (step + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * gone))
        for group in optimiser.param_groups + other.param_groups:
            group["lr"] = args.rate * max(warm, 0.02)
        if plain and (step >= args.plain or gone >= args.plain_share):
            plain = False
            with torch.no_grad():
                z = torch.cat([codec.encoder(data.clips(rng, args.batch, samples)) for _ in range(
                    max(1, 30000 // (args.batch * samples // starter.HOP)))])
            quantiser.start(z.transpose(1, 2).reshape(-1, z.shape[1]))
        x = data.clips(rng, args.batch, samples)
        z = codec.encoder(x)
        q, commitment = (z, torch.zeros((), device=device)) if plain else quantiser(z)
        y = codec.decoder(q)[..., : x.shape[-1]]
        spectral, wave = spectra(x, y), F.l1_loss(y, x)
        loss = spectral + 10.0 * wave + 0.25 * commitment
        if gone >= args.adversarial:
            verdict = judge(judges, x, y)
            other.zero_grad(set_to_none=True)
            verdict.backward()
            other.step()
            score, features = adversarial(judges, x, y)
            loss = loss + 0.1 * score + 0.3 * features
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            log.writerow([step, f"{spectral.item():.4f}", f"{wave.item():.4f}", f"{float(commitment):.4f}", int(time.time() - began)])
        if step % 500 == 0:
            distance, sdr, used = evaluate(codec, quantiser, spectra, data, device, plain)
            print(f"step {step}: spectral {spectral.item():.3f} wave {wave.item():.4f} log-mel {distance:.3f} "
                  f"SI-SDR {sdr:.1f} dB used {used:.2f}  {time.time() - began:.0f} s", flush=True)
        if step % 1000 == 0:
            data.look()
        if time.time() - saved > 240:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    main()
