#!/bin/sh
# The library's screen: prompts and takes, marks, notes, the trash, lineage, exports.
#	library.sh WOODSHED FIXTURES
# shellcheck disable=SC2317,SC2086 # functions are called by check
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"

export XDG_MUSIC_DIR="$scratch/music"

counts()
{
	[ "$("$woodshed" takes --json | python3 -c '
import json, sys
print(sum(json.loads(line)[sys.argv[1]] == json.loads(sys.argv[2]) for line in sys.stdin))' \
		"$1" "$2")" = "$3" ]
}

# takes_are FIELD VALUE N: so many takes have it, in what `takes --json` tells.
takes_are()
{
	soon counts "$@"
}

files_are()
{
	[ "$(find "$2" -name '*.flac' | wc -l)" = "$1" ]
}

# As an action, by which others know that there is something new.
noted="INSERT INTO undo(action, label, take, field, old, new)
	SELECT max(action) + 1, 'done elsewhere', 1, 'rating', rating, rating FROM undo, takes
	WHERE takes.id = 1"

takes_on_disk()
{
	[ "$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | wc -l)" = "$1" ]
}

no_sound
echo '{ [' >"$ALSA_CONFIG_PATH" # of which ALSA complains, loudly
install_mono
"$woodshed" queue -m mono -s 0.2 --seed 70 --count 3 'slow piano' >/dev/null
"$woodshed" queue -m mono -s 0.2 'a b 日本' >/dev/null
"$woodshed" queue -m mono -s 0.2 --seed 90 --count 2 'fast drums' >/dev/null
"$woodshed" worker --quiet >/dev/null 2>&1

start 80 24
t set -g set-clipboard on

# ---- prompts and their takes --------------------------------------------------------

check 'all takes' sees ' 6 takes'
check 'a prompt with its takes folded' sees '▸ slow piano (3)'
check 'a prompt with one take is that take' sees '   a b 日本'
keys l
check 'unfolded' sees '│ take 2  seed 91'
check 'its sign' sees '▾ fast drums (2)'
keys j j h
check 'from a take to its prompt' sees '─ fast drums · 2 takes'
keys h
check 'which folds' sees_no '│ take'
keys z R
check 'all unfolded' sees '│ take 3  seed 72'
keys z M
check 'all folded' sees_no '│ take'
keys z p
check 'takes alone' sees_no '▸'
keys z p
check 'and back' sees '▸ slow piano (3)'
keys g g Enter
check 'Enter unfolds' sees '▾ fast drums (2)'
keys Enter
check 'and folds' sees '▸ fast drums (2)'
check 'which of its takes is shown' sees '· 2 takes, here take 2 · not heard yet'
command_line 'continue off'
keys Space
check 'folded, it is what is heard' sees '▶▸ fast drums (2)'
check 'sound has a log of its own' soon grep -q ALSA "$WOODSHED_LIBRARY/log/sound"
check 'and a job that of its worker' sh -c "! grep -q ALSA '$WOODSHED_LIBRARY/log/worker'"
check 'and which it is' sees '‖ fast drums · take 2'
check 'the newest was heard' sees_no 'here take 2 · not heard yet'
check 'another was not' soon shows_row '▸ fast drums \(2\) .*●'

# ---- marks ------------------------------------------------------------------------

keys m
check 'a prompt is marked, all of it' sees ' 2 marked'
keys m
check 'and the next row' sees ' 3 marked'
keys '*'
check 'the other way round' sees ' 3 marked'
keys f
check 'all that is marked' sees 'favourite: 3 takes'
check 'is done' takes_are favourite true 3
keys u
check 'and taken back at once' takes_are favourite false 6
escape
check 'no marks' sees_no ' marked'
keys g g v j
check 'a range' sees ' range '
command_line 'rate 4'
check 'is acted on' sees '3 takes rated 4'
check 'is rated' takes_are rating 4 3
escape
keys g g S-Down S-Down
check 'a range by Shift' sees ' range '
command_line 'tag good'
check 'is tagged' sees 'tagged 6 takes'
escape
command_line 'untag good'
check 'untagged' sees 'untagged 3 takes'
check 'those under the cursor only' takes_are tags '"good"' 3
escape
keys g g
command_line 'tag twice'
check 'tagged' sees 'tagged 2 takes · u takes it back'
command_line 'tag twice'
check 'as it was' sees 'tagged 2 takes: it was so already'
keys u
check 'what was done before is taken back' sees 'taken back: tagged 2 takes'
keys g g j f
check 'a favourite' sees 'favourite: 1 take '
keys g g m f
check 'what is marked counts, not what the cursor is on' sees 'favourite: 2 takes'
check 'three now' takes_are favourite true 3
keys m f
check 'all of them are' sees 'no favourite any more: 3 takes'
check 'none now' takes_are favourite false 6
escape
keys g g e
check 'of a folded prompt that which is shown' sees 'Seed  '
check 'is what is edited' shows_row '^ *Seed .*91'
escape
keys 1

# ---- notes ------------------------------------------------------------------------

keys g g j n
check 'a line for a note' sees ':note'
typed 'the second chord is wrong'
keys Enter
check 'a note' sees ' the second chord is wrong'
keys /
typed 'chord'
check 'is found' sees ' 1 of 6 '
keys Enter
check 'alone' sees_no 'slow piano'
escape
check 'all again' sees ' 6 takes'
keys 4
check 'another take is heard' sees ' 4 Listen'
command_line note
check 'its note is not that one' sees ':note'
check 'but none' sees_no 'chord'
escape
keys 1

# A list that was not found is none, whatever was seen before.
keys /
typed 'piano dur>x'
check 'a wrong filter' sees 'dur takes a number'
keys Enter
check 'finds nothing' sees ' 0 of 6 '
check 'and stays said' sees 'dur takes a number'
keys '*' D
check 'nothing is acted on' sees_no 'to the trash'
escape
check 'all are there' sees ' 6 takes'

# All at once: what is thrown away is what the filter leaves.
keys / c h o r d Enter D
check 'keys are not ahead of the list' sees 'moved 1 take to the trash'
escape
check 'it is the right one' sees_no 'a b 日本'
keys u
check 'and back' sees 'a b 日本'

# A line that is emptied, whose command is left alone in it.
command_line 'filter chord'
check 'the one with the note' sees ' 1 of 6 '
keys n
check 'its note' sees ':note the second chord is wrong'
typed ' of two'
check 'goes on' sees 'wrong of two'
for _ in 1 2 3 4 5 6 7; do
	keys C-w
done
check 'emptied' sees_no ':note the'
keys Enter
check 'no note' sees 'no note any more: 1 take'
check 'and no line' sees_no ':note'
keys u
check 'taken back' sees 'taken back: no note any more'
escape
keys t
check 'a line for a tag' sees ':tag'
keys Enter
check 'is closed when nothing is typed' sees_no ':tag'

# ---- sorting ------------------------------------------------------------------------

keys S r
check 'the best first' sees 'takes  best'
keys g g
check 'is under the cursor' sees '─ fast drums'
keys S r
check 'again: the worst' sees 'worst first'
keys S c
check 'what fits its prompt best' sees 'best fit first'
keys S n
check 'newest first' sees ' newest'

# ---- the trash --------------------------------------------------------------------

keys g g D
check 'into the trash' sees 'moved 2 takes to the trash'
check 'gone' sees ' 4 takes'
keys T
check 'the trash' sees ' Trash'
check 'has them' sees '▸ fast drums (2)'
keys l j Enter
check 'one comes back' sees 'restored 1 take to the library'
check 'one is left' sees ' 1 take '
keys '!'
check 'for good only when asked' sees 'delete 1 take and the files for good?'
keys n
check 'no is no' sees 'left as it is'
asked=$(elsewhere 'SELECT id FROM takes WHERE trashed')
keys '!'
check 'asked again' sees 'delete 1 take and the files for good?'
elsewhere 'UPDATE takes SET trashed = iif(id = 1, 5, NULL)' "$noted"
check 'another take lies there now' sees '  slow piano'
keys y
check 'that one was not meant' sees 'nothing is deleted: the take left the trash meanwhile'
check 'and is there' takes_on_disk 6
elsewhere "UPDATE takes SET trashed = iif(id = $asked, 5, NULL)" "$noted"
check 'as before' sees '  fast drums'
keys '!' y
check 'yes is yes' sees 'deleted 1 take for good'
check 'the trash is empty' sees 'The trash is empty'
keys q
check 'five are left' sees ' 5 takes'
check 'of files too' takes_on_disk 5

# ---- files ------------------------------------------------------------------------

keys g g w
check 'an export' sees 'exported '
check 'is a file' test "$(find "$scratch/music/woodshed" -name 'fast drums*.wav' | wc -l)" = 1
keys '*'
command_line "export to $scratch/a b, as flac, at off"
check 'of all that is marked, elsewhere' sees 'exported 5 takes'
check 'and what a format cannot hold' sees 'were too loud for flac'
check 'five files' test "$(find "$scratch/a b" -name '*.flac' | wc -l)" = 5
for folder in 'one, two' 'Music, at home' 'b, named c'; do
	command_line "export to $scratch/$folder/, as flac, at off"
	check "a folder called '$folder'" soon files_are 5 "$scratch/$folder"
	keys W Enter
	check 'also where it is read back' soon files_are 10 "$scratch/$folder"
done
escape
keys W
check 'remembered' sees 'as flac, at off'
check 'read from its beginning' sees ':export to '
check 'with what there is to choose from' sees 'as float pcm24 pcm16 flac flac24'
escape
check 'of which nothing stays' sees_no 'Enter exports'
: >"$scratch/no folder"
command_line "export to $scratch/no folder, as pcm16, at off"
check 'not where there can be no folder' sees 'exported 0 of 1: '
command_line 'export to music'
check 'nor where woodshed happens to run' sees "'music' is no folder that can be kept"
keys W
check 'which is not remembered' sees 'as flac, at off'
escape
keys g g y
check 'the prompt' sees 'copied: fast drums'
check 'is in the clipboard' test "$(t show-buffer)" = 'fast drums'
keys Y
check 'the path' sees "$WOODSHED_LIBRARY/takes"
first=$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | head -n 1)
mv "$first" "$scratch/away.wav"
"$woodshed" worker --quiet >/dev/null 2>&1
command_line 'filter missing'
check 'a file that is gone' sees 'the file is missing: '
escape

# ---- lineage ------------------------------------------------------------------------

keys g g g l
check 'what it came from' sees 'What it came from'
check 'nothing else' sees 'nothing has been made of it'
keys q
check 'and back' sees ' newest'

# ---- marks of what is gone ------------------------------------------------------------

keys g g m m
check 'two are marked' sees ' 2 marked'
rm "$WOODSHED_LIBRARY/$(elsewhere 'SELECT name FROM files ORDER BY take DESC LIMIT 1')"
elsewhere 'DELETE FROM takes WHERE id = (SELECT max(id) FROM takes)'
check 'one is gone' sees ' 1 marked'
keys f
check 'the other can be acted on' sees 'favourite: 1 take '
check 'and is' takes_are favourite true 1
escape

keys Q
check 'Q leaves' has_left 0
check 'nothing on stderr' test ! -s "$scratch/err"

# ---- nowhere to export to ---------------------------------------------------------------

elsewhere "DELETE FROM settings WHERE name = 'export.folder'"
start 80 24 tmux-256color HOME= XDG_MUSIC_DIR=
check 'without a home' sees ' newest'
keys w
check 'nothing is exported, to the root least of all' sees "there is no home for '~/Music/woodshed'"
keys Q
check 'and its end' has_left 0
run "$woodshed" doctor
check 'doctor has no complaint' succeeds
check 'and counts the takes' grep -q '^takes  *4' "$scratch/out"
done_testing
