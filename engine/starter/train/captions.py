"""Words for a plan: many ways to say the same, seldom all of it.

caption(plan, rng) tells some of style, tempo, key, instruments, drums, brightness,
room and colour, in any order, with synonyms and free words around them.
"""

import pieces

STYLE = {
    "lofi": ["lofi", "lo-fi hip hop", "lofi hip hop", "chillhop", "lofi beat", "study beat", "chill hip hop",
             "jazzy hip hop", "boom bap", "chill beats", "sleepy lofi", "hip hop", "trip hop", "instrumental rap beat"],
    "house": ["house", "deep house", "house music", "club house", "a house groove", "disco house", "edm", "dance music",
              "club music", "nu disco", "disco", "electronic dance", "garage", "dance pop", "party music"],
    "techno": ["techno", "acid techno", "warehouse techno", "a techno track", "driving techno", "rave", "acid",
               "industrial techno", "minimal techno", "trance", "electronic club music", "electronica", "hypnotic techno"],
    "ambient": ["ambient", "ambient music", "an ambient drone", "atmospheric soundscape", "ambient texture",
                "meditation music", "space music", "drone", "new age", "floating ambient", "dreamy ambient",
                "relaxing soundscape", "sleep music", "spa music"],
    "synthwave": ["synthwave", "80s synthwave", "retrowave", "80s synth pop", "outrun", "eighties pop", "synthpop",
                  "retro electronic", "80s movie theme", "vaporwave", "new wave", "neon synthwave"],
    "drum and bass": ["drum and bass", "dnb", "liquid drum and bass", "drum & bass", "jungle", "breakbeat",
                      "drum n bass", "atmospheric jungle", "fast electronic breaks", "breakcore"],
    "jazz trio": ["jazz trio", "jazz", "swing jazz", "smoky jazz", "jazz club trio", "bebop", "lounge jazz",
                  "cool jazz", "jazz ballad", "piano jazz", "cocktail jazz", "swing", "late night jazz"],
    "folk guitar": ["folk", "folk guitar", "acoustic folk", "singer-songwriter", "country folk", "country", "campfire song",
                    "americana", "acoustic ballad", "indie folk", "bluegrass", "celtic folk", "acoustic"],
    "rock": ["rock", "hard rock", "indie rock", "garage rock", "a rock riff", "punk rock", "metal", "heavy metal",
             "grunge", "punk", "alternative rock", "blues rock", "stoner rock", "guitar rock"],
    "orchestral": ["orchestral", "cinematic orchestra", "film score", "epic orchestral", "classical strings", "symphonic",
                   "movie trailer", "orchestra", "soundtrack", "classical", "fantasy soundtrack", "dramatic film music"],
    "chiptune": ["chiptune", "8-bit", "8 bit game music", "video game chiptune", "retro game music", "arcade music",
                 "game boy music", "video game music", "pixel adventure", "8bit", "nintendo style", "computer game theme"],
    "dub": ["dub", "dub reggae", "reggae", "roots dub", "echoing dub", "ska", "island music", "roots reggae",
            "jamaican dub", "summer reggae", "dub techno echoes"],
    "bossa nova": ["bossa nova", "bossa", "brazilian bossa nova", "latin jazz", "samba", "latin", "brazilian",
                   "cafe music", "tropical bossa", "rumba", "beach bossa nova"],
    "marimba groove": ["marimba groove", "mallet groove", "minimal mallets", "world percussion groove", "afro groove",
                       "african", "world music", "minimalism", "tropical", "afrobeat", "kalimba groove", "ethnic percussion"],
}

INSTRUMENT = {
    "acoustic_guitar": ["acoustic guitar", "steel string guitar", "strummed guitar", "fingerpicked guitar", "guitar",
                        "folk guitar", "twelve string guitar", "acoustic guitars", "banjo"],
    "nylon_guitar": ["nylon guitar", "classical guitar", "soft guitar", "spanish guitar", "gentle guitar",
                     "nylon string guitar", "ukulele", "flamenco guitar"],
    "harp": ["harp", "plucked harp", "harp arpeggios", "lyre"],
    "distorted_guitar": ["distorted guitar", "electric guitar", "power chords", "overdriven guitar", "fuzz guitar",
                         "heavy guitars", "electric guitars", "crunchy guitar", "distorted riff"],
    "piano": ["piano", "acoustic piano", "grand piano", "upright piano", "soft piano", "piano chords", "pianos", "keys"],
    "electric_piano": ["electric piano", "rhodes", "warm rhodes", "e-piano", "wurlitzer", "rhodes chords", "fender rhodes",
                       "electric keys", "mellow keys"],
    "organ": ["organ", "hammond organ", "drawbar organ", "church organ", "hammond", "organ chords"],
    "synth_pad": ["synth pad", "warm pad", "pads", "analog pad", "synth chords", "synthesizer pads", "lush pads",
                  "synthesizer", "soft synth", "evolving pad", "airy pad"],
    "string_section": ["strings", "string section", "violins", "orchestral strings", "violin", "cello", "cellos",
                       "string orchestra", "legato strings", "viola"],
    "choir": ["choir", "voices", "choral pad", "singing choir", "vocals", "vocal pad", "angelic choir", "humming voices"],
    "flute": ["flute", "soft flute", "woodwind", "pan flute", "whistle", "recorder", "clarinet", "woodwinds"],
    "brass": ["brass", "trumpet", "horns", "brass section", "trombone", "french horn", "saxophone", "horn section", "sax"],
    "bell": ["bells", "glockenspiel", "chimes", "bell melody", "music box", "celesta", "tubular bells", "bell sounds"],
    "marimba": ["marimba", "xylophone", "mallets", "vibraphone", "kalimba", "wooden mallets", "marimbas"],
    "saw_lead": ["synth lead", "lead synth", "saw lead", "analog lead", "synth", "sawtooth lead", "moog lead", "synth hook"],
    "chip_lead": ["square wave lead", "pulse lead", "chip melody", "8-bit synth", "square wave", "chip sounds", "bleeps",
                  "beeps"],
    "sub_bass": ["sub bass", "deep bass", "low sub", "808 bass", "heavy bass", "bass"],
    "picked_bass": ["bass guitar", "electric bass", "picked bass", "bass", "bass guitars"],
    "upright_bass": ["upright bass", "double bass", "walking bass", "acoustic bass", "contrabass", "bass"],
    "acid_bass": ["acid bass", "303 bass", "squelchy acid bass", "acid line", "squelching bass", "tb 303"],
    "synth_bass": ["synth bass", "analog bass", "bassline", "electronic bass", "rolling bass", "moog bass", "bass"],
}

DRUMS = {
    "four": ["four on the floor", "house drums", "steady kick and claps", "drum machine", "909 drums", "dance beat",
             "disco beat", "claps"],
    "techno": ["pounding kick", "techno drums", "hard drums", "relentless hi-hats", "drum machine", "pounding beat",
               "kick drum and hats", "industrial beat"],
    "lofi": ["dusty drums", "lofi drums", "boom bap drums", "laid back drums", "hip hop beat", "hip hop drums",
             "swung beat", "lazy drums"],
    "rock": ["rock drums", "a solid drum kit", "big drums", "drum kit", "live drums", "steady backbeat", "loud drums"],
    "breaks": ["fast breakbeats", "breakbeat drums", "frantic drums", "amen breaks", "fast drums", "chopped breaks",
               "rolling breaks"],
    "jazz": ["brushed drums", "brushes", "ride cymbal and brushes", "swinging drums", "jazz drums", "brushed snare"],
    "shaker": ["shaker", "light percussion", "hand percussion", "soft drums", "percussion", "shakers", "gentle percussion"],
    "onedrop": ["one drop drums", "reggae drums", "rimshots", "laid back drums", "reggae beat", "one drop beat"],
    "bossa": ["bossa drums", "rim clicks and shaker", "light latin drums", "soft drums", "latin percussion", "samba beat"],
    "toms": ["toms and cymbals", "timpani and cymbals", "cinematic drums", "thunderous drums", "taiko drums", "timpani",
             "epic percussion", "cymbals"],
}

NO_DRUMS = ["no drums", "without drums", "drumless", "beatless", "no percussion", "without percussion", "no beat"]
DRUMS_AT_ALL = ["drums", "with drums", "a beat", "beats", "drum beat"]
ALONE = ["solo {}", "{} solo", "{} alone", "just {}", "only {}", "unaccompanied {}", "a lone {}", "{} by itself"]
FREE = ["for a rainy night", "late at night", "in the morning sun", "like an old memory", "on a long drive",
        "by the sea", "for studying", "to dance to", "in a small club", "under the stars", "with a hopeful feeling",
        "a bit nostalgic", "simple", "loop", "instrumental", "demo", "theme", "background music", "groovy", "melodic",
        "for a video", "intro music", "podcast music", "a song about the city", "with a catchy hook", "beautiful",
        "cool", "catchy", "modern", "vintage", "classic", "dreaming", "in the forest", "winter evening", "sunny day",
        "road trip", "for a game", "love song", "a quiet room", "walking home", "rain on the window", "summer",
        "high quality", "professional mix", "good vibes", "music", "track", "song", "tune", "with feeling", "nice",
        "smooth", "deep", "emotional", "mysterious", "romantic", "playful", "magical", "heavy", "light", "strange"]
FRAMES = ["a {} track", "{} music", "a {} piece", "some {}", "{} song", "{} instrumental", "play {}", "a {} loop",
          "{} vibes", "{} style", "a short {} tune"]
LEADS = ["{} melody", "{} lead", "a {} solo", "{} on top", "{}"]
SPELLED = {"C#": ["C#", "C sharp", "Db"], "Eb": ["Eb", "E flat", "D#"], "F#": ["F#", "F sharp", "Gb"],
           "Ab": ["Ab", "A flat", "G#"], "Bb": ["Bb", "B flat", "A#"]}


def pick(rng, words):
    return words[int(rng.integers(len(words)))]


def tempo_words(bpm):
    if bpm < 76:
        return ["very slow", "slow", "down tempo", "slow tempo", "downtempo", "largo"]
    if bpm < 100:
        return ["slow", "relaxed", "laid back tempo", "easy tempo", "andante"]
    if bpm < 120:
        return ["mid tempo", "medium tempo", "moderate", "midtempo", "moderate tempo"]
    if bpm < 145:
        return ["upbeat", "lively", "fast", "quick", "uptempo", "allegro"]
    return ["fast", "very fast", "high speed", "rapid", "presto", "frantic"]


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
        words += ["bright", "crisp", "brilliant", "shiny", "sparkling", "clear", "sharp"]
    elif p.bright < 0.3:
        words += ["dark", "muffled", "dull", "murky", "gloomy", "shadowy"]
    elif p.bright < 0.5:
        words += ["warm", "mellow", "soft", "cozy", "smooth"]
    if p.mode == "major":
        words += ["happy", "hopeful", "cheerful", "joyful", "uplifting", "positive", "sweet"]
    elif p.mode == "minor":
        words += ["sad", "melancholic", "moody", "sorrowful", "tense", "serious", "lonely"]
    else:
        words += ["jazzy", "soulful", "funky"]
    if p.density > 0.75:
        words += ["busy", "energetic", "lively", "full", "intense", "powerful"]
    elif p.density < 0.25:
        words += ["sparse", "calm", "minimal", "peaceful", "gentle", "quiet", "relaxing"]
    if p.bpm < 80:
        words += ["chill", "relaxed", "dreamy", "sleepy"]
    elif p.bpm > 130:
        words += ["exciting", "driving", "urgent", "aggressive"]
    if p.room > 0.6:
        words += ["ethereal", "vast", "epic", "atmospheric"]
    return pick(rng, words)


def space(p, rng):
    if p.room > 0.65:
        return pick(rng, ["lots of reverb", "huge hall", "spacious", "washed in reverb", "cathedral reverb",
                          "reverberant", "long reverb", "in a large church"])
    if p.room < 0.12:
        return pick(rng, ["dry", "close and dry", "no reverb", "intimate", "up close"])
    return pick(rng, ["small room", "room reverb", "a little reverb", ""])


def colours(p, rng):
    return {"vinyl": pick(rng, ["vinyl crackle", "dusty vinyl", "crackling record", "old record", "vinyl noise", "crackle"]),
            "tape": pick(rng, ["tape warmth", "cassette tape", "worn tape", "tape hiss", "cassette", "tape saturation"])}.get(p.colour, "")


def brightness(p, rng):
    """Said alone often enough that the words mean something."""
    if p.bright > 0.72:
        return pick(rng, ["bright", "bright and crisp", "crisp highs", "bright sound", "sparkling highs", "trebly"])
    if p.bright < 0.3:
        return pick(rng, ["dark", "dark and muffled", "muffled", "dark sound", "muted", "dull and dark"])
    return ""


def caption(p, rng):
    parts = []

    def say(chance, text):
        if text and rng.random() < chance:
            parts.append(text)

    say(0.75, tempo(p, rng))
    say(0.35, key(p, rng))
    only = pieces.alone(p)
    if only and rng.random() < 0.6:
        say(1, pick(rng, ALONE).format(pick(rng, INSTRUMENT[only])))
    else:
        say(0.65, pick(rng, INSTRUMENT[p.chords]) if p.chords else "")
        say(0.65, pick(rng, LEADS).format(pick(rng, INSTRUMENT[p.lead])) if p.lead else "")
        say(0.5, pick(rng, INSTRUMENT[p.bass]) if p.bass else pick(rng, ["no bass", ""]))
        say(0.65, pick(rng, DRUMS[p.drums] + DRUMS_AT_ALL) if p.drums else pick(rng, NO_DRUMS))
    say(0.35, mood(p, rng))
    say(0.45, brightness(p, rng))
    say(0.25, space(p, rng))
    say(0.5, colours(p, rng))
    say(0.3 if p.metre == 3 else 0, pick(rng, ["waltz", "in 3/4", "three four time"]))
    say(0.2, pick(rng, FREE))
    order = list(rng.permutation(len(parts)))
    parts = [parts[i] for i in order]
    if rng.random() < 0.88 or not parts:
        style = pick(rng, STYLE[p.style])
        if rng.random() < 0.12:
            style = pick(rng, FRAMES).format(style)
        parts.insert(0 if rng.random() < 0.7 else int(rng.integers(len(parts) + 1)), style)
    text = pick(rng, [", ", ", ", " ", ", "]).join(dict.fromkeys(parts))
    if rng.random() < 0.25 and len(parts) > 1:
        text = text.replace(", ", " with ", 1)
    r = rng.random()
    return text.capitalize() if r < 0.2 else text + "." if r < 0.25 else text
