"""Pieces of ten seconds: what is in one (plan), how it sounds (play).

plan(rng) draws a style, tempo, key, chords, instruments and colours; play()
renders a plan, mono, at RATE, near -16 LUFS; a plan is all that a caption may
tell (captions.py).  The same seed gives the same piece.
"""

import dataclasses
import math

import numpy as np
from scipy import signal

import instruments as ins
from instruments import RATE

SECONDS = 10.0

NOTES = "C C# D Eb E F F# G Ab A Bb B".split()
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10), "dorian": (0, 2, 3, 5, 7, 9, 10)}
PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 3, 4, 4), (0, 5, 3, 4), (1, 4, 0, 0), (0, 0, 3, 4), (3, 4, 2, 5)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 4), (0, 6, 5, 6), (0, 0, 3, 3), (0, 5, 3, 4), (0, 2, 6, 3)),
    "dorian": ((0, 3, 0, 3), (0, 6, 3, 0), (0, 1, 3, 0)),
}

# What a style may be made of.  chords, lead, bass: instruments of that part;
# drums: a pattern below, or None; chance_*: how often the part is there.
STYLES = {
    "lofi": dict(bpm=(66, 90), modes=("minor", "dorian", "major"), chords=("electric_piano", "nylon_guitar", "piano"),
                 lead=("flute", "bell", "electric_piano"), bass=("upright_bass", "sub_bass"), drums="lofi", kit="soft",
                 sevenths=True, swing=0.58, colour=("vinyl", "tape"), bright=0.25, room=0.25, comp="stabs"),
    "house": dict(bpm=(118, 128), modes=("minor", "major"), chords=("organ", "piano", "synth_pad"),
                  lead=("saw_lead", "brass"), bass=("synth_bass", "sub_bass"), drums="four", kit="house", sevenths=True,
                  swing=0.5, colour=(), bright=0.65, room=0.2, comp="offbeat"),
    "techno": dict(bpm=(126, 142), modes=("minor",), chords=("synth_pad", "saw_lead"), lead=("saw_lead",),
                   bass=("acid_bass", "synth_bass"), drums="techno", kit="techno", sevenths=False, swing=0.5, colour=(),
                   bright=0.55, room=0.25, comp="stabs"),
    "ambient": dict(bpm=(56, 76), modes=("major", "dorian", "minor"), chords=("synth_pad", "choir", "string_section"),
                    lead=("bell", "flute", "harp"), bass=("sub_bass",), drums=None, kit=None, sevenths=True, swing=0.5,
                    colour=("tape", ""), bright=0.3, room=0.9, comp="hold"),
    "synthwave": dict(bpm=(84, 112), modes=("minor",), chords=("synth_pad",), lead=("saw_lead",), bass=("synth_bass",),
                      drums="rock", kit="house", sevenths=False, swing=0.5, colour=("tape", ""), bright=0.6, room=0.4,
                      comp="hold"),
    "drum and bass": dict(bpm=(168, 176), modes=("minor", "dorian"), chords=("synth_pad", "electric_piano"),
                          lead=("bell", "saw_lead", "flute"), bass=("sub_bass", "synth_bass"), drums="breaks",
                          kit="techno", sevenths=True, swing=0.5, colour=(), bright=0.65, room=0.3, comp="hold"),
    "jazz trio": dict(bpm=(96, 176), modes=("major", "dorian"), chords=("piano",), lead=("piano", "flute", "brass"),
                      bass=("upright_bass",), drums="jazz", kit="soft", sevenths=True, swing=0.64, colour=("",),
                      bright=0.45, room=0.3, comp="stabs", walking=True),
    "folk guitar": dict(bpm=(84, 124), modes=("major", "minor"), chords=("acoustic_guitar", "nylon_guitar"),
                        lead=("flute", "acoustic_guitar"), bass=("picked_bass",), drums="shaker", kit="soft",
                        sevenths=False, swing=0.5, colour=("",), bright=0.5, room=0.25, comp="arpeggio"),
    "rock": dict(bpm=(100, 152), modes=("minor", "major"), chords=("distorted_guitar",), lead=("distorted_guitar", "saw_lead"),
                 bass=("picked_bass",), drums="rock", kit="rock", sevenths=False, swing=0.5, colour=(), bright=0.6,
                 room=0.2, comp="eighths"),
    "orchestral": dict(bpm=(60, 108), modes=("minor", "major"), chords=("string_section", "choir"),
                       lead=("brass", "flute", "string_section", "harp"), bass=("string_section",), drums="toms",
                       kit="rock", sevenths=False, swing=0.5, colour=(), bright=0.45, room=0.7, comp="hold"),
    "chiptune": dict(bpm=(112, 168), modes=("major", "minor"), chords=("chip_lead",), lead=("chip_lead",),
                     bass=("chip_lead",), drums="rock", kit="chip", sevenths=False, swing=0.5, colour=(), bright=0.8,
                     room=0.0, comp="arpeggio"),
    "dub": dict(bpm=(68, 80), modes=("minor", "dorian"), chords=("organ", "electric_piano", "distorted_guitar"),
                lead=("brass", "flute"), bass=("sub_bass", "picked_bass"), drums="onedrop", kit="soft", sevenths=False,
                swing=0.52, colour=("tape",), bright=0.35, room=0.4, comp="offbeat", echo=True),
    "bossa nova": dict(bpm=(112, 140), modes=("major", "dorian"), chords=("nylon_guitar", "piano"),
                       lead=("flute", "piano", "electric_piano"), bass=("upright_bass",), drums="bossa", kit="soft",
                       sevenths=True, swing=0.5, colour=("",), bright=0.4, room=0.25, comp="bossa"),
    "marimba groove": dict(bpm=(92, 126), modes=("major", "dorian"), chords=("marimba",), lead=("marimba", "bell", "flute"),
                           bass=("sub_bass", "upright_bass"), drums="shaker", kit="house", sevenths=False, swing=0.54,
                           colour=("",), bright=0.5, room=0.3, comp="arpeggio"),
}


@dataclasses.dataclass
class Plan:
    seed: int
    style: str
    bpm: int
    key: int
    mode: str
    progression: tuple
    chords: str  # instrument names; "" where a part is left out
    lead: str
    bass: str
    drums: str
    kit: str
    metre: int
    bright: float  # 0..1
    room: float
    colour: str
    density: float
    intro: bool  # parts come in one after the other


def plan(seed):
    rng = np.random.default_rng(seed)
    style = list(STYLES)[int(rng.integers(len(STYLES)))]
    s = STYLES[style]
    mode = s["modes"][int(rng.integers(len(s["modes"])))]
    progressions = PROGRESSIONS[mode]

    def some(names, chance):
        return names[int(rng.integers(len(names)))] if names and rng.random() < chance else ""

    slowest, fastest = s["bpm"] if rng.random() < 0.8 else (max(56, s["bpm"][0] - 30), min(180, s["bpm"][1] + 30))
    p = Plan(
        seed=seed, style=style, bpm=int(rng.integers(slowest, fastest + 1)), key=int(rng.integers(12)),
        mode=mode, progression=progressions[int(rng.integers(len(progressions)))], chords=some(s["chords"], 0.95),
        lead=some(s["lead"], 0.55), bass=some(s["bass"], 0.85),
        drums=s["drums"] if s["drums"] and rng.random() < 0.78 else "", kit=s["kit"] or "",
        metre=3 if style in ("jazz trio", "folk guitar", "orchestral") and rng.random() < 0.25 else 4,
        bright=float(np.round(6 * np.clip(s["bright"] + 0.3 * rng.standard_normal(), 0, 1)) / 6),
        room=float(np.round(4 * np.clip(s["room"] + 0.2 * rng.standard_normal(), 0, 1)) / 4),
        colour=some(s["colour"], 0.8), density=float(rng.random()), intro=bool(rng.random() < 0.15))
    if rng.random() < 0.15:  # one instrument alone, or with drums
        p.chords, p.lead, p.bass, p.intro = p.chords or s["chords"][0], "", "", False
        if rng.random() < 0.5:
            p.chords, p.lead = "", s["lead"][int(rng.integers(len(s["lead"])))]
        if rng.random() < 0.7:
            p.drums = ""
    if not (p.chords or p.lead):
        p.chords = s["chords"][0]
    return p


def alone(p):
    """The instrument that plays without any other, or nothing."""
    parts = [x for x in (p.chords, p.lead, p.bass) if x]
    return parts[0] if len(parts) == 1 and not p.drums else ""


# ---- harmony -----------------------------------------------------------------


def degree(p, d, octave):
    """MIDI number of a scale degree, which may lie outside of 0..6."""
    scale = SCALES[p.mode]
    return 12 * (octave + 1) + p.key + scale[d % 7] + 12 * (d // 7)


def voicing(p, root):
    """Chord tones in the octave and a half around middle C."""
    tones = [0, 2, 4] + ([6] if STYLES[p.style]["sevenths"] else [])
    notes = []
    for t in tones:
        m = degree(p, root + t, 3)
        while m < 55:
            m += 12
        while m > 74:
            m -= 12
        notes.append(m)
    return sorted(set(notes))


# ---- rhythm: sixteenths of a bar, (step, strength) -----------------------------

PATTERNS = {
    "four": dict(kick=(0, 4, 8, 12), clap=(4, 12), hat=(2, 6, 10, 14), open=(2, 6, 10, 14)),
    "techno": dict(kick=(0, 4, 8, 12), clap=(4, 12), hat=tuple(range(0, 16)), open=(2, 10), rim=(7, 11)),
    "lofi": dict(kick=(0, 7, 10), snare=(4, 12), hat=(0, 2, 4, 6, 8, 10, 12, 14)),
    "rock": dict(kick=(0, 8, 10), snare=(4, 12), hat=(0, 2, 4, 6, 8, 10, 12, 14), crash=(0,)),
    "breaks": dict(kick=(0, 10), snare=(4, 12), ghost=(7, 9, 15), hat=(0, 2, 4, 6, 8, 10, 12, 14), ride=(0, 4, 8, 12)),
    "jazz": dict(ride=(0, 4, 7, 8, 12, 15), brush=(4, 12), kick=(0,), pedal=(4, 12)),
    "shaker": dict(shaker=tuple(range(0, 16, 2)), kick=(0, 8), rim=(4, 12)),
    "onedrop": dict(kick=(8,), rim=(8,), hat=(0, 2, 4, 6, 8, 10, 12, 14)),
    "bossa": dict(kick=(0, 6, 8, 14), rim=(0, 3, 6, 10, 13), shaker=tuple(range(0, 16, 2))),
    "toms": dict(tom=(0, 6, 8, 14), crash=(0,)),
}


class Mixer:
    def __init__(self, n):
        self.n = n
        self.parts = {}

    def add(self, part, at, sound, gain=1.0):
        """At the nearest frame: 10 ms off at most, which nobody hears as more than a human hand."""
        bus = self.parts.setdefault(part, np.zeros(self.n, np.float32))
        i = int(round(at * ins.FRAME_RATE)) * (RATE // ins.FRAME_RATE)
        if 0 <= i < self.n:
            sound = sound[: self.n - i]
            bus[i:i + len(sound)] += (gain * sound).astype(np.float32)


def step_time(p, bar, step):
    """Seconds of a sixteenth, swung."""
    beat = 60.0 / p.bpm
    swing = STYLES[p.style]["swing"]
    pair, odd = divmod(step, 2)
    if p.style in ("jazz trio",):  # eighths swing, not sixteenths
        pair, rest = divmod(step, 4)
        return (bar * p.metre + pair) * beat + beat * (swing if rest >= 2 else 0) + beat * 0.25 * (rest % 2) * 0.6
    return (bar * p.metre) * beat + beat * 0.5 * pair + (beat * 0.5 * swing if odd else 0)


def play_drums(p, rng, mix, bars):
    steps = 4 * p.metre
    pattern = PATTERNS[p.drums]
    gains = dict(kick=1.0, snare=0.75, clap=0.6, hat=0.28, open=0.25, rim=0.45, ghost=0.6, ride=0.3, crash=0.35,
                 brush=0.8, pedal=0.3, shaker=0.4, tom=0.9)
    for bar in range(bars):
        fill = bar % 4 == 3 and rng.random() < 0.5
        for name, hits in pattern.items():
            if name == "crash" and bar % 4:
                continue
            for step in hits:
                if step >= steps or rng.random() < (0.06 if name in ("kick", "snare", "clap") else 0.14 * (1.2 - p.density)):
                    continue
                strength = (0.8, 0.95)[int(rng.integers(2))] + (0.15 if step % 4 == 0 else 0)
                mix.add("drums", step_time(p, bar, step), ins.hit(name, p.kit, int(rng.integers(2))), gains[name] * strength)
        if fill:
            for step in range(steps - 4, steps):
                mix.add("drums", step_time(p, bar, step), ins.hit("tom" if p.kit == "rock" else "snare", p.kit, step % 2),
                        0.3 + 0.1 * (step - steps + 4))


def tone(name, rng, midi, held):
    """A note of about that many seconds, struck as chance has it."""
    return ins.note(name, midi, ins.held_frames(held), int(rng.integers(len(ins.LEVELS))))


def comping(p, rng, steps):
    """(step, length in steps, strength) of the chords in a bar."""
    comp = STYLES[p.style]["comp"]
    if comp == "hold":
        return [(0, steps, 0.8)]
    if comp == "offbeat":
        return [(s, 2, 0.7) for s in range(2, steps, 4)]
    if comp == "eighths":
        return [(s, 2, 0.9 if s % 4 == 0 else 0.7) for s in range(0, steps, 2)]
    if comp == "bossa":
        return [(s, 3, 0.7) for s in (0, 3, 6, 10, 13) if s < steps]
    hits = [(0, 6, 0.8)] + [(s, 4, 0.65) for s in (6, 10, 14) if s < steps and rng.random() < 0.3 + 0.4 * p.density]
    return hits


def play_chords(p, rng, mix, bars):
    steps = 4 * p.metre
    sixteenth = 15.0 / p.bpm
    gain = {"distorted_guitar": 0.8, "synth_pad": 0.9, "choir": 0.6, "string_section": 0.6, "organ": 0.7}.get(p.chords, 0.8)
    strum = 0.02 if "guitar" in p.chords or p.chords == "harp" else 0
    for bar in range(bars):
        root = p.progression[bar % len(p.progression)]
        notes = voicing(p, root)
        if p.chords == "distorted_guitar":
            notes = [degree(p, root, 2)]
        if STYLES[p.style]["comp"] == "arpeggio" or (p.chords in ("harp", "acoustic_guitar") and p.density > 0.6):
            order = [int(rng.integers(len(notes))) for _ in range(8)]
            for i, s in enumerate(range(0, steps, 2 if p.density < 0.7 else 1)):
                m = notes[order[i % 8]] + (12 if i % 4 == 3 and p.chords != "chip_lead" else 0)
                mix.add("chords", step_time(p, bar, s), tone(p.chords, rng, m, sixteenth * 2.4), gain)
            continue
        for s, length, strength in comping(p, rng, steps):
            for i, m in enumerate(notes):
                mix.add("chords", step_time(p, bar, s) + strum * i,
                        tone(p.chords, rng, m, sixteenth * length * 0.95), strength * gain / math.sqrt(len(notes)))


def play_bass(p, rng, mix, bars):
    steps = 4 * p.metre
    sixteenth = 15.0 / p.bpm
    octave = 2 if p.bass == "string_section" else 1 if p.bass not in ("chip_lead",) else 2
    walking = STYLES[p.style].get("walking")
    busy = p.style in ("techno", "house", "synthwave") or p.density > 0.75
    for bar in range(bars):
        root = p.progression[bar % len(p.progression)]
        following = p.progression[(bar + 1) % len(p.progression)]
        if walking:
            line = [(4 * i, 4, d) for i, d in enumerate((root, root + 2, root + 4, following + (1 if rng.random() < 0.5 else -1)))]
        elif busy:
            line = [(s, 2, root + (7 if rng.random() < 0.2 else 0)) for s in range(0, steps, 2)]
            if p.style == "techno":
                line = [(s, 1, root + int(rng.choice((0, 0, 7, 2, 4)))) for s in range(steps) if s % 4 or rng.random() < 0.4]
        else:
            line = [(0, 6, root), (8, 6, root + (4 if rng.random() < 0.4 else 0))] + ([(14, 2, root)] if rng.random() < 0.4 else [])
        for s, length, d in line:
            if s < steps:
                m = degree(p, d, octave)
                m -= 12 if m > 12 * (octave + 1) + 14 else 0
                mix.add("bass", step_time(p, bar, s), tone(p.bass, rng, m, sixteenth * length * 0.92),
                        0.85 if p.bass != "string_section" else 0.5)


def play_lead(p, rng, mix, bars):
    steps = 4 * p.metre
    sixteenth = 15.0 / p.bpm
    slow = p.style in ("ambient", "orchestral")
    at = int(rng.integers(5, 10))
    motif = [(int(rng.choice((2, 2, 4) if not slow else (4, 8))), int(rng.choice((-2, -1, -1, 0, 1, 1, 2, 3)))) for _ in range(5)]
    for bar in range(bars):
        root = p.progression[bar % len(p.progression)]
        s = 0
        i = 0
        while s < steps:
            length, move = motif[i % len(motif)] if rng.random() < 0.8 else (int(rng.choice((2, 4))), int(rng.integers(-2, 3)))
            i += 1
            at = int(np.clip(at + move, 2, 14))
            if s % 8 == 0:  # strong beats take chord tones
                at = min((root + t + o for t in (0, 2, 4) for o in (0, 7, 14)), key=lambda d: abs(d - at))
            if rng.random() < 0.45 + 0.5 * p.density:
                m = degree(p, at, 4)
                mix.add("lead", step_time(p, bar, s),
                        tone(p.lead, rng, m if m < 92 else m - 12, sixteenth * length * 0.95), 0.55)
            s += length


# ---- the mix -----------------------------------------------------------------

GAIN = {"drums": 0.9, "bass": 0.75, "chords": 0.6, "lead": 0.55}


def entrances(p, bars):
    """Bar in which each part comes in."""
    if not p.intro or bars < 3:
        return {}
    return {"drums": 1, "bass": 1, "lead": 2} if p.chords else {"drums": 1, "bass": 1}


def colour(p, rng, name, x):
    if name == "drums":
        return ins.reverb(x, 1, 0.25 + 0.5 * p.room, p.bright < 0.4, 0.12 + 0.2 * p.room)
    if name == "bass":
        return x
    if STYLES[p.style].get("echo"):
        x = ins.echo(x, 45.0 / p.bpm, 0.55, 0.5)
    if p.style in ("synthwave", "dub", "ambient") and name == "chords":
        x = ins.chorus(x)
    return ins.reverb(x, 11, 0.5 + 2.2 * p.room, p.bright < 0.5, 0.15 + 0.5 * p.room)


def tilt(x, bright):
    """Dark to bright: a shelf of -9 to +5 dB above 1.8 kHz, and less top."""
    b, a = signal.butter(1, 1800, fs=RATE)
    low = signal.lfilter(b, a, x)
    y = low + (x - low) * 10 ** ((-9 + 14 * bright) / 20)
    b, a = signal.butter(2, 4500 + 9500 * bright, fs=RATE)
    return signal.lfilter(b, a, y).astype(np.float32)


def loudness(x):
    """LUFS of a mono signal, ITU-R BS.1770-4 with both gates."""
    b1, a1 = [1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585]
    b2, a2 = [1.0, -2.0, 1.0], [1, -1.99004745483398, 0.99007225036621]
    # The coefficients are for 48 kHz; K-weighting is flat enough for a mix at 32.
    y = signal.lfilter(b2, a2, signal.lfilter(b1, a1, x))
    size, hop = ins.seconds(0.4), ins.seconds(0.1)
    power = np.array([np.mean(y[i:i + size] ** 2) for i in range(0, len(y) - size + 1, hop)]) + 1e-12
    level = -0.691 + 10 * np.log10(power)
    kept = power[level > -70]
    if not len(kept):
        return -70.0
    gate = -0.691 + 10 * np.log10(kept.mean()) - 10
    kept = power[level > gate]
    return float(-0.691 + 10 * np.log10(kept.mean()))


def limit(x, ceiling=0.97):
    """A soft knee above 0.7, for the few peaks."""
    over = np.abs(x) > 0.7
    y = x.copy()
    y[over] = np.sign(x[over]) * (0.7 + (ceiling - 0.7) * np.tanh((np.abs(x[over]) - 0.7) / (ceiling - 0.7)))
    return y


def play(p, length=SECONDS, stems=False):
    """float32 mono at RATE; with stems also a dict of the dry parts."""
    rng = np.random.default_rng([p.seed, 1])
    n = ins.seconds(length)
    bar_s = p.metre * 60.0 / p.bpm
    bars = int(math.ceil(length / bar_s)) + 1
    mix = Mixer(n)
    for name, function in (("drums", play_drums), ("chords", play_chords), ("bass", play_bass), ("lead", play_lead)):
        if getattr(p, name):
            function(p, rng, mix, bars)
    for name, bar in entrances(p, bars).items():
        if name in mix.parts:
            mix.parts[name][: min(n, int(bar * bar_s * RATE))] = 0
    total = np.zeros(n, np.float32)
    for name, x in mix.parts.items():
        rms = np.sqrt(np.mean(x ** 2)) + 1e-6
        total += GAIN[name] * 0.12 / max(rms, 0.02) * colour(p, rng, name, x)
    total = tilt(total, p.bright)
    if p.colour == "tape":
        total = ins.tape(total, rng, 0.6)
    if p.colour == "vinyl":
        total = ins.tape(total, rng, 0.4) + ins.vinyl(n, rng) * 0.4 * np.sqrt(np.mean(total ** 2)) / 0.1
    for _ in range(3):
        total = limit(total * 10 ** ((-16 - loudness(total)) / 20))
    return (total, mix.parts) if stems else total
