"""Words for a plan: many ways to say the same, seldom all of it.

caption(plan, rng) tells some of style, tempo, key, instruments, drums, brightness,
room and colour, in any order, with synonyms and free words around them.
"""

import pieces

STYLE = {
    "lofi": ["lofi", "lo-fi hip hop", "lofi hip hop", "chillhop", "lofi beat", "study beat"],
    "house": ["house", "deep house", "house music", "club house", "a house groove"],
    "techno": ["techno", "acid techno", "warehouse techno", "a techno track", "driving techno"],
    "ambient": ["ambient", "ambient music", "an ambient drone", "atmospheric soundscape", "ambient texture"],
    "synthwave": ["synthwave", "80s synthwave", "retrowave", "80s synth pop", "outrun"],
    "drum and bass": ["drum and bass", "dnb", "liquid drum and bass", "drum & bass", "jungle"],
    "jazz trio": ["jazz trio", "jazz", "swing jazz", "smoky jazz", "jazz club trio"],
    "folk guitar": ["folk", "folk guitar", "acoustic folk", "singer-songwriter", "country folk"],
    "rock": ["rock", "hard rock", "indie rock", "garage rock", "a rock riff", "punk rock"],
    "orchestral": ["orchestral", "cinematic orchestra", "film score", "epic orchestral", "classical strings"],
    "chiptune": ["chiptune", "8-bit", "8 bit game music", "video game chiptune", "retro game music"],
    "dub": ["dub", "dub reggae", "reggae", "roots dub", "echoing dub"],
    "bossa nova": ["bossa nova", "bossa", "brazilian bossa nova", "latin jazz", "samba"],
    "marimba groove": ["marimba groove", "mallet groove", "minimal mallets", "world percussion groove", "afro groove"],
}

INSTRUMENT = {
    "acoustic_guitar": ["acoustic guitar", "steel string guitar", "strummed guitar", "fingerpicked guitar"],
    "nylon_guitar": ["nylon guitar", "classical guitar", "soft guitar", "spanish guitar"],
    "harp": ["harp", "plucked harp"],
    "distorted_guitar": ["distorted guitar", "electric guitar", "power chords", "overdriven guitar"],
    "piano": ["piano", "acoustic piano", "grand piano", "upright piano"],
    "electric_piano": ["electric piano", "rhodes", "warm rhodes", "e-piano"],
    "organ": ["organ", "hammond organ", "drawbar organ"],
    "synth_pad": ["synth pad", "warm pad", "pads", "analog pad", "synth chords"],
    "string_section": ["strings", "string section", "violins", "orchestral strings"],
    "choir": ["choir", "voices", "choral pad", "singing choir"],
    "flute": ["flute", "soft flute", "woodwind"],
    "brass": ["brass", "trumpet", "horns", "brass section"],
    "bell": ["bells", "glockenspiel", "chimes", "bell melody"],
    "marimba": ["marimba", "xylophone", "mallets"],
    "saw_lead": ["synth lead", "lead synth", "saw lead", "analog lead"],
    "chip_lead": ["square wave lead", "pulse lead", "chip melody", "8-bit synth"],
    "sub_bass": ["sub bass", "deep bass", "low sub"],
    "picked_bass": ["bass guitar", "electric bass", "picked bass"],
    "upright_bass": ["upright bass", "double bass", "walking bass"],
    "acid_bass": ["acid bass", "303 bass", "squelchy acid bass", "acid line"],
    "synth_bass": ["synth bass", "analog bass", "bassline"],
}

DRUMS = {
    "four": ["four on the floor", "house drums", "steady kick and claps", "drum machine"],
    "techno": ["pounding kick", "techno drums", "hard drums", "relentless hi-hats"],
    "lofi": ["dusty drums", "lofi drums", "boom bap drums", "laid back drums"],
    "rock": ["drums", "rock drums", "a solid drum kit", "big drums"],
    "breaks": ["fast breakbeats", "breakbeat drums", "frantic drums", "amen breaks"],
    "jazz": ["brushed drums", "brushes", "ride cymbal and brushes", "swinging drums"],
    "shaker": ["shaker", "light percussion", "hand percussion", "soft drums"],
    "onedrop": ["one drop drums", "reggae drums", "rimshots", "laid back drums"],
    "bossa": ["bossa drums", "rim clicks and shaker", "light latin drums", "soft drums"],
    "toms": ["toms and cymbals", "timpani and cymbals", "cinematic drums", "thunderous drums"],
}

NO_DRUMS = ["no drums", "without drums", "drumless", "beatless", "no percussion"]
FREE = ["for a rainy night", "late at night", "in the morning sun", "like an old memory", "on a long drive",
        "by the sea", "for studying", "to dance to", "in a small club", "under the stars", "with a hopeful feeling",
        "a bit nostalgic", "simple", "loop", "instrumental", "demo", "theme", "background music", "groovy", "melodic"]
LEADS = ["{} melody", "{} lead", "a {} solo", "{} on top", "{}"]
SPELLED = {"C#": ["C#", "C sharp", "Db"], "Eb": ["Eb", "E flat", "D#"], "F#": ["F#", "F sharp", "Gb"],
           "Ab": ["Ab", "A flat", "G#"], "Bb": ["Bb", "B flat", "A#"]}


def pick(rng, words):
    return words[int(rng.integers(len(words)))]


def tempo_words(bpm):
    if bpm < 76:
        return ["very slow", "slow", "down tempo"]
    if bpm < 100:
        return ["slow", "relaxed", "laid back tempo"]
    if bpm < 120:
        return ["mid tempo", "medium tempo", "moderate"]
    if bpm < 145:
        return ["upbeat", "lively", "fast"]
    return ["fast", "very fast", "high speed"]


def tempo(p, rng):
    return pick(rng, [f"{p.bpm} bpm", f"{p.bpm} BPM", f"at {p.bpm} bpm", f"{p.bpm}bpm"] if rng.random() < 0.7
                else tempo_words(p.bpm))


def key(p, rng):
    note = pieces.NOTES[p.key]
    note = pick(rng, SPELLED.get(note, [note]))
    return pick(rng, [f"in {note} {p.mode}", f"{note} {p.mode}", f"key of {note} {p.mode}"])


def mood(p, rng):
    words = []
    if p.bright > 0.72:
        words += ["bright", "crisp", "brilliant", "shiny"]
    elif p.bright < 0.3:
        words += ["dark", "muffled", "dull", "murky"]
    elif p.bright < 0.5:
        words += ["warm", "mellow", "soft"]
    if p.mode == "major":
        words += ["happy", "hopeful", "cheerful"]
    elif p.mode == "minor":
        words += ["sad", "melancholic", "moody"]
    if p.density > 0.75:
        words += ["busy", "energetic"]
    elif p.density < 0.25:
        words += ["sparse", "calm", "minimal"]
    return pick(rng, words) if words else ""


def space(p, rng):
    if p.room > 0.65:
        return pick(rng, ["lots of reverb", "huge hall", "spacious", "washed in reverb", "cathedral reverb"])
    if p.room < 0.12:
        return pick(rng, ["dry", "close and dry", "no reverb"])
    return pick(rng, ["small room", "room reverb", ""])


def colours(p, rng):
    return {"vinyl": pick(rng, ["vinyl crackle", "dusty vinyl", "crackling record"]),
            "tape": pick(rng, ["tape warmth", "cassette tape", "worn tape", "tape hiss"])}.get(p.colour, "")


def brightness(p, rng):
    """Said alone often enough that the words mean something."""
    if p.bright > 0.72:
        return pick(rng, ["bright", "bright and crisp", "crisp highs"])
    if p.bright < 0.3:
        return pick(rng, ["dark", "dark and muffled", "muffled"])
    return ""


def caption(p, rng):
    parts = []

    def say(chance, text):
        if text and rng.random() < chance:
            parts.append(text)

    say(0.75, tempo(p, rng))
    say(0.35, key(p, rng))
    say(0.6, pick(rng, INSTRUMENT[p.chords]) if p.chords else "")
    say(0.65, pick(rng, LEADS).format(pick(rng, INSTRUMENT[p.lead])) if p.lead else "")
    say(0.5, pick(rng, INSTRUMENT[p.bass]) if p.bass else pick(rng, ["no bass", ""]))
    say(0.6, pick(rng, DRUMS[p.drums]) if p.drums else pick(rng, NO_DRUMS))
    say(0.35, mood(p, rng))
    say(0.45, brightness(p, rng))
    say(0.25, space(p, rng))
    say(0.5, colours(p, rng))
    say(0.3 if p.metre == 3 else 0, pick(rng, ["waltz", "in 3/4", "three four time"]))
    say(0.2, pick(rng, FREE))
    order = list(rng.permutation(len(parts)))
    parts = [parts[i] for i in order]
    if rng.random() < 0.88 or not parts:
        parts.insert(0 if rng.random() < 0.7 else int(rng.integers(len(parts) + 1)), pick(rng, STYLE[p.style]))
    text = pick(rng, [", ", ", ", " ", ", "]).join(dict.fromkeys(parts))
    if rng.random() < 0.25 and len(parts) > 1:
        text = text.replace(", ", " with ", 1)
    r = rng.random()
    return text.capitalize() if r < 0.2 else text + "." if r < 0.25 else text
