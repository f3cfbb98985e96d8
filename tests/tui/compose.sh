#!/bin/sh
# Compose as somebody uses it, inside tmux: typing, pasting, completing, an editor of
# one's own, what is wrong and what it costs, drafts that outlive a kill, and takes
# made again with all their settings.
#	compose.sh WOODSHED FIXTURES
# shellcheck disable=SC2317,SC2086 # functions are called by check
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"

export XDG_CACHE_HOME="$scratch/cache"
export VISUAL='' EDITOR="$scratch/editor --wait"

# clear: whatever is typed in the field.
clear()
{
	keys C-e C-u
}

# paste TEXT, as a terminal does it when the program has asked for it.
paste()
{
	t set-buffer -b pasted -- "$1"
	t paste-buffer -p -b pasted -t t
}

# jobs FIELD: that field of every job, oldest first.
jobs()
{
	"$woodshed" jobs --json | python3 -c '
import json, sys
print(*(json.loads(line).get(sys.argv[1]) for line in sys.stdin), sep="|")' "$1"
}

jobs_are()
{
	[ "$(jobs "$1")" = "$2" ]
}

# has_jobs FIELD VALUES: those are they, in the end.
has_jobs()
{
	soon jobs_are "$@" && return
	echo "# $(jobs "$1")"
	return 1
}

# row_after TEXT TEXT: the second stands in the line after the first.
follows()
{
	t capture-pane -p -t t >"$scratch/out" && grep -A 1 -F -- "$1" "$scratch/out" | grep -qFx -- "$2"
}

row_after()
{
	soon follows "$@"
}

install_mono

# ---- who counts tokens --------------------------------------------------------------

engine=$(dirname "$woodshed")/woodshed-engine
printf 'mono\tslow piano\nmono\t\nnone\tx\njunk\n\n\\377\t\377\n' >"$scratch/questions"
"$engine" tokens <"$scratch/questions" >"$scratch/out"
check 'it answers every line' test "$(wc -l <"$scratch/out")" = 6
check 'with tokens, how many are read, and what holds otherwise' grep -Eqx '[2-9] 2048	length_s=6.34 cfg=3' "$scratch/out"
check 'the end counts' grep -qx '1 2048	length_s=6.34 cfg=3' "$scratch/out"
check 'or why it cannot tell' grep -qx "\- there is no model 'none'" "$scratch/out"
check 'also of what is no question' grep -qx -- '- a line is MODEL, a tab, and the text' "$scratch/out"
run "$engine" tokens more
check 'it takes no words' status_is 2

# ---- typing -----------------------------------------------------------------------

start 80 24
sees 'No takes yet' && keys g t
check 'gt comes by' sees 'Enter or i type'
keys g t
check 'and goes on' sees 'Nothing is queued'
keys g T
sees '>Prompt' && keys j
check 'keys move there' sees '>Model'
keys k Enter
typed 'gt'
check 'until Enter' sees '>Prompt      gt'
keys C-u Escape
sees 'No takes yet' && keys 2
check 'the form' sees '>Prompt'
check 'the model, and what is known of it' sees 'mono  32 kHz mono, any length'
check 'what the engine can be told, once it has said so' sees 'Temperature 1'
typed '2 slow q pianos: 3'
check 'digits, q and : are text here' sees '>Prompt      2 slow q pianos: 3'
check 'tokens are counted' sees ' of 2048 tokens'
check 'time is not known yet' sees 'time not known yet'
keys C-w C-w
check '^W takes words' sees '>Prompt      2 slow q'
keys C-u
sees_no 'slow q'
keys C-_ C-_
check '^_ brings them back' sees '2 slow q pianos:'
keys C-r
check '^R takes them again' sees_no 'pianos:'
clear
typed 'slow {piano|guitar}'
check 'wildcards are counted' sees '2 takes (2 prompts)'
keys Enter
typed 'rain on the window, and a line that is much too long for eighty cells'
check 'long lines wrap' sees '             cells'
keys Down
check 'Down leaves the prompt at its end' sees '>Model'
keys Down
check 'and the model' sees '>Length'
typed '1:75'
check 'what is no length' sees "'1:75' is no length"
keys F5
check 'is not queued' sees "1:75' is no length"
check 'not one' test "$("$woodshed" jobs --json | wc -l)" = 0
clear
typed '0.2'
keys Tab
check 'Tab goes on' sees '>Takes'
typed 2
check 'takes are counted' sees '4 takes (2 prompts × 2 takes)'
keys Tab
typed 41
keys Tab
typed '1..2:0.5'
check 'a sweep is counted' sees '12 takes (2 × 3 × 2)'
clear
typed 5
keys BTab
check 'Shift-Tab goes back' sees '>Seed'
keys Down Down Down Down Down
check 'flags are turned' sees '>Greedy'
keys Space
check 'by Space' sees 'Greedy      yes'
check 'and it says how' sees '; Left and Right change it'
keys F5
check 'queued' sees 'queued 4 takes as jobs 1 to 4'
check 'what F5 would do now' sees 'the same again'
escape
check 'they are there' sees ' 4 takes'
check 'with their seeds' has_jobs seed '41|42|41|42'
check 'and prompts' has_jobs prompt "$(python3 -c '
rest = " rain on the window, and a line that is much too long for eighty cells"
print(*["slow " + i + rest for i in ("piano", "piano", "guitar", "guitar")], sep="|")')"
check 'and settings' sees 'seed 42'
keys 2
check 'what it costs is known now' sees 'starts' # the line may end before it
check 'in seconds' sees ' each to render'

# ---- history and completion ---------------------------------------------------------

escape
keys i
check 'what was queued makes room' sees_no 'much too long'
typed 'slow pi'
check 'what could follow' sees 'Tab completes: slow piano'
keys Tab
check 'Tab puts it in' sees '>Prompt      slow piano'
clear
typed 'mine'
keys C-p
check '^P: what was composed before' sees '>Prompt      slow guitar'
keys C-p
check 'and before that' sees '>Prompt      slow piano'
keys C-p
check 'to the end' sees 'there is nothing older'
keys C-n C-n
check '^N: and back' sees '>Prompt      mine'

# ---- an editor, and what is pasted ---------------------------------------------------

keys C-x C-e
check 'an editor that is not there' sees "cannot start the editor '$scratch/editor'"
printf '#!/bin/sh\n[ "$1" = --wait ] && grep -q mine "$2" && printf "%%s\\n" "from; the" "editor" >"$2"\n' \
	>"$scratch/editor"
chmod +x "$scratch/editor"
keys C-x C-e
check '^X^E: the prompt in an editor' sees '>Prompt      from; the'
check 'of two lines' sees '             editor'
check 'the file is gone' test -z "$(find "$WOODSHED_LIBRARY" -name 'prompt-*')"
keys C-x C-e
check 'an editor that fails' sees 'the editor ended with an error; the text is as it was'
keys C-_
check 'and what it did is taken back' sees '>Prompt      mine'
clear
paste 'a
q	b'
check 'pasted lines are text' sees '             q b'
check 'in full' sees '>Prompt      a'
clear
keys BSpace
clear
printf 'one\r\ntwo' >"$scratch/pasted"
t load-buffer -b pasted "$scratch/pasted"
t paste-buffer -r -p -b pasted -t t
check 'CR LF ends one line' row_after '>Prompt      one' '             two'
clear
keys BSpace
clear
printf 'half \377\342 done' >"$scratch/pasted"
t load-buffer -b pasted "$scratch/pasted"
t paste-buffer -p -b pasted -t t
typed '!'
check 'what is no text does not keep the rest' sees '>Prompt      half � done!'
clear
escape
sees 'Library' && paste 'qQ'
check 'where nothing is typed nothing is pasted' sees 'what was pasted is left out'
keys :
paste 'se	x'
check 'a tab on the : line is a blank, and completes nothing' sees ':se x'
escape

# ---- drafts -----------------------------------------------------------------------

keys 2
clear
keys C-k C-u
typed 'not to be lost'
sleep 1
kill -9 "$(workstation_pid)"
has_left 137
start 80 24
sees 'takes' && keys 2
check 'a draft outlives a kill' sees 'not to be lost'
check 'its settings too' sees 'Greedy      yes'
pkill -STOP -P "$(workstation_pid)" woodshed-engine
typed ', ever'
check 'typing waits for no helper' sees 'not to be lost, ever'

# ---- models -------------------------------------------------------------------------

keys Down
sees '>Model' && keys Enter
check 'the models there are' sees 'musicgen-small'
check 'which are installed' sees '✓ mono'
check 'and which are not' sees '   musicgen-small'
check 'with licence' sees 'CC-BY-NC-4.0'
before=$(jobs model)
keys j F5 C-p C-c
check '^C leaves the list' sees '>Model       mono'
check 'and says nothing of woodshed' sees_no 'q leaves woodshed'
check 'no key went to what is behind it' sees 'not to be lost, ever'
check 'and nothing was queued' has_jobs model "$before"
keys Enter
sees 'Models'
keys End k
check 'and how they are fetched' sees "not installed; 'woodshed pull audioldm2'"
sees 'Models' && keys Enter
check 'how one is fetched' sees 'woodshed pull '
keys F5
check 'and nothing is queued with it' sees 'is not installed'
check 'nor is it said to start' sees_no 'starts at once'
keys Left Right
check 'back to one that is' sees '>Model       mono'

# ---- clicks -------------------------------------------------------------------------

# click COLUMN LINE, from 1, as tmux-256color sends it.
click()
{
	# shellcheck disable=SC2046 # each is a byte
	keys -H 1b 5b 4d 20 $(printf '%x %x' $(($1 + 32)) $(($2 + 32))) \
		1b 5b 4d 23 $(printf '%x %x' $(($1 + 32)) $(($2 + 32)))
}

# twice COLUMN LINE: and not together with a click before.
twice()
{
	sleep 0.5
	click "$@"
	click "$@"
}

click 14 3
typed 'Click '
check 'a click into the prompt: there one types' sees '>Prompt      Click '
click 55 6
check 'on a field: it has the keys' sees '>Takes'
twice 20 5
check 'twice on the model: which there are' sees 'Enter takes one, Esc'
keys -H 1b 5b 4d 61 2a 26
twice 10 3
check 'twice on one takes it' sees '>Model       mono'
twice 55 9
check 'twice on what is turned turns it' sees '>Greedy      no'
keys -H 1b 5b 4d 60 2a 26
check 'the wheel goes to the field before' sees_no '>Greedy'

escape
keys Q
has_left 0
check 'nothing on stderr' test ! -s "$scratch/err"

# ---- two workstations -----------------------------------------------------------------

second_shows()
{
	t capture-pane -p -t second | grep -qF -- "$1"
}

second_lacks()
{
	! second_shows "$1"
}

second_is_gone()
{
	! t has-session -t second 2>/dev/null
}

start 80 24
sees ' 4 takes' && keys 2
clear
typed 'of the first'
sees 'of the first'
t new-session -d -x 80 -y 24 -s second "env TERM=tmux-256color '$woodshed'"
soon second_shows ' 4 takes' && t send-keys -t second 2
soon second_shows '>Prompt'
check 'a second workstation has a draft of its own' second_lacks 'of the first'
t send-keys -t second -l 'beside it'
soon second_shows 'beside it' && t send-keys -t second Escape
soon second_shows ' 4 takes' && t send-keys -t second Q
soon second_is_gone
typed ', still there'
sees 'of the first, still there' && escape
keys Q
has_left 0
start 80 24
check 'whoever is alone later is told of it' sees '1 draft of another workstation put aside'
keys 2
check 'the first is as it was' sees '>Prompt      of the first, still there'
keys C-p
check 'and ^P shows the other' sees '>Prompt      beside it'

# ---- once more --------------------------------------------------------------------

escape
keys Q
has_left 0
echo '{' >"$WOODSHED_LIBRARY/drafts/compose"
start 80 24
check 'damaged drafts are told of' sees 'kept as compose.damaged'
keys Q
has_left 0
rm -rf "$WOODSHED_LIBRARY/drafts"
start 80 24
sees ' 4 takes' && keys g g r
check 'r: once more' sees 'queued as job 5'
check 'rendered' sees ' 5 takes'
keys R
check 'R: the very same' sees 'queued as job 6'
check 'rendered as well' sees ' 6 takes'
command_line 'more 2'
check 'more: so many' sees 'queued 2 takes as jobs 7 to 8'
check 'all there' sees ' 8 takes'
python3 - "$WOODSHED_LIBRARY/library.db" >"$scratch/settings" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(len(set(db.execute("SELECT options, seconds FROM jobs"))),
      *db.execute("SELECT count(*), count(DISTINCT seed) FROM jobs WHERE id > 4").fetchone())
END
# 5, 6 (whose seed is that of the take it was made from) and two new ones
check 'with the same settings, and new seeds' grep -Eqx '1 4 (3|4)' "$scratch/settings"
keys e
check 'e: its prompt, its length' sees 'Length      0.2'
check 'and its settings' sees 'Guidance    5'
check 'to be edited' sees '>Prompt      slow'
keys Home
typed 'very '
keys M-Enter
check 'queued' sees 'queued as job 9'
escape
check 'rendered' sees ' 9 takes'
python3 - "$WOODSHED_LIBRARY/library.db" >"$scratch/lineage" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*db.execute("SELECT p.changed, q.text LIKE 'slow %' FROM jobs j JOIN prompts p ON p.id = j.prompt"
                  " JOIN prompts q ON q.id = p.parent WHERE j.id = 9").fetchone())
END
check 'what it came from is known' grep -qx 'edited 1' "$scratch/lineage"
keys g g o
check 'o: a new one from it' sees 'Seed        random'
escape

# ---- somebody else writes -----------------------------------------------------------

lock
keys 2
clear
typed 'while it is locked'
keys F5
check 'it is on its way' sees 'queueing'
escape
keys i
typed 'the next one'
check 'one goes on typing' sees 'the next one'
check 'in a form of its own' sees_no 'while it is locked'
unlock
check 'and it is queued in the end' sees 'queued as job 10'
keys C-p
check 'both are kept' sees 'while it is locked'
escape

# ---- sizes and ends -----------------------------------------------------------------

keys 2
for size in '160 48' '40 10' '20 3' '5 2' '1 1' '3 30' '250 5' '80 24'; do
	t resize-window -t t -x "${size% *}" -y "${size#* }"
	keys Down Down Down Up BTab
	typed 'x'
	sleep 0.1
done
check 'after all sizes' sees 'Compose'
escape
keys Q
check 'and the end' is_restored 0
# The shell asks for pastes, too, until it runs something.
runs_cat()
{
	[ "$(t display -p -t t '#{pane_current_command}')" = cat ]
}
typed 'cat -v'
keys Enter
soon runs_cat
paste 'pasted'
check 'which asks for no more pastes' sees 'pasted'
check 'as they were told apart' sees_no '200~'
check 'nothing on stderr' test ! -s "$scratch/err"

done_testing
