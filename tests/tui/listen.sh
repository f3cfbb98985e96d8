#!/bin/sh
# The Listen screen as somebody uses it, inside tmux: picture, zoom, loop, what
# follows, the denoised twin.  A script stands in for the engine's denoiser.
#	listen.sh WOODSHED FIXTURES
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"

export HOME="$scratch/home"
unset XDG_MUSIC_DIR
no_sound

install_mono
for prompt in 'first 120 bpm' 'second' 'third'; do
	"$woodshed" render -m mono -s 4 --seed 1 "$prompt" >/dev/null 2>&1
done
mkdir "$scratch/bin"
cp "$woodshed" "$scratch/bin/woodshed"
woodshed=$scratch/bin/woodshed
cat >"$woodshed-engine" <<END
#!/bin/sh
for out; do in=\$last; last=\$out; done
while [ -e "$scratch/slow" ]; do sleep 0.1; done
[ ! -e "$scratch/broken" ] || { echo 'woodshed: no luck today; try again' >&2; exit 1; }
cp "\$in" "\$out"
END
chmod +x "$woodshed-engine"

# One of these characters, within half a minute.
shows_any()
{
	t capture-pane -p -t t >"$scratch/out" && grep -q "[$1]" "$scratch/out"
}
sees_any()
{
	soon shows_any "$1"
}

# ---- the picture ------------------------------------------------------------------

start 80 24
sees Library
keys j j 4
check 'the take under the cursor, before it is played' sees ' first 120 bpm'
check 'with frequencies' sees '10k│'
check 'and times' sees '0:02'
check 'and a picture' sees '▀▀▀▀▀▀▀▀'
check 'and a waveform' sees 'wave '
keys z s
check 'mel' sees 'mel  2048'
keys z f
check 'a larger FFT' sees 'mel  4096'
keys z d
check 'another range' sees '-120..0 dB'
keys c
check 'another colour map' sees 'magma'
keys z b
check 'other glyphs' sees 'quadrant'
check 'with quarters of a cell' sees_any '▌▐▞▚▛▜▙▟▘▝▖▗'
keys z b
check 'or shades' sees '++++'
command_line 'glyphs half'
check 'and halves' sees '▀▀▀▀▀▀▀▀'
command_line 'glyphs sixel'
check 'no such glyphs' sees 'half (blocks), quadrant and shade'
command_line 'scale log'
check 'a scale by name' sees 'log  4096'
command_line 'fft 1000'
check 'no power of two' sees 'a power of two'
command_line 'colours nonsense'
check 'no such map' sees "no colour map 'nonsense'"
command_line 'audio rescan'
check 'devices are looked for again' sees 'looking for devices again'
command_line 'audio scan'
check 'and nothing else' sees "audio takes rescan, not 'scan'"
keys z i z i
check 'nearer' sees '0:00.4'
keys z o z o z o
check 'farther again' sees_no '0:00.4'

# ---- playing ----------------------------------------------------------------------

keys Space
check 'it plays' sees '▶ first 120 bpm'
check 'with a level' sees ' LUFS'
keys 0 '{'
check 'a loop has begun' sees 'loop from 0:00.'
sleep 1
keys '}'
check 'and goes round' sees 'beats)'
check 'between its ends' sees 'A═'
sleep 4.5 # longer than the take
check 'still the same take' sees '▶ first 120 bpm'
keys L
check 'the loop is off' sees ', off'
keys '\'
check 'and gone' sees 'no loop'
# Each waits at once: a take of 4 s may be over before a slow machine has looked.
keys '(' Space
check 'the take before' sees '‖ second'
keys '(' Space
check 'and the one before' sees '‖ third'
keys '('
check 'there is none before' sees 'this is the first one'
check 'it waits' sees '‖ third'
command_line 'filter second'
sees '1 of' && keys ')'
check 'nor beside what the filter hides' sees 'what is played is not in the list'
keys / C-u Enter
sees 'first 120 bpm' && keys 4 # the whole list again, or nothing follows
sees 'LUFS'
keys Space
check 'and goes on' sees '▶ third'
keys '$'
check 'at the end the next one follows' sees '▶ second'
keys Space
check 'pause' sees '‖ second'
keys 0
check 'back to the beginning' sees '0:00 / 0:04'
keys l l
check 'two seconds on' sees '0:02 / 0:04'
keys -H 1b 5b 4d 20 48 26 # a press in column 39 of 75
check 'a click seeks' sees '0:01 / 0:04'
keys -H 1b 5b 4d 40 5f 26 # moved to column 62, the button held
check 'a drag seeks' sees '0:03 / 0:04'
keys -H 1b 5b 4d 40 34 38 # and to column 19, outside of the picture
check 'wherever it goes' sees '0:00 / 0:04'
check 'a pause is still one' sees '‖ second'
keys -H 1b 5b 4d 40 5f 26 1b 5b 4d 23 5f 26 # back, and let go
check 'where it is let go it stays' sees '0:03 / 0:04'
keys -H 1b 5b 4d 20 48 26 1b 5b 4d 23 48 26
check 'and the next click seeks' sees '0:01 / 0:04'
keys M
check 'mute' sees 'mute 100'

# ---- denoising --------------------------------------------------------------------

check 'as it is' sees 'dn off'
touch "$scratch/slow"
keys d
check 'it is made' sees 'dn 0%'
keys d
check 'or not' sees 'dn off'
rm "$scratch/slow"
keys d
check 'heard' sees 'dn wiener'
check 'and how a file becomes so' sees 'heard denoised (wiener) · w on Listen exports it so'
keys d
check 'as it was' sees 'dn off'
keys n
check 'what was taken away' sees 'dn removed'
keys d
check 'denoised' sees 'dn wiener'
command_line 'mix 0.5'
check 'half of it' sees 'dn wiener 50%'
command_line 'mix 2'
check 'not twice' sees 'no mix from 0 (dry) to 1 (wet)'
touch "$scratch/broken"
command_line 'denoise-method ss'
check 'a failure is a sentence' sees 'no luck today; try again'
rm "$scratch/broken"
keys d
check 'by the other method' sees 'dn ss'
command_line 'denoise-method wiener'
check 'and back, from what is kept' sees 'dn wiener'
check 'two twins are kept' [ "$(find "$WOODSHED_LIBRARY/cache/denoised" -name '*.wav' | wc -l)" = 2 ]

# ---- keeping and exporting --------------------------------------------------------

keys f
check 'what is heard is kept' sees 'favourite: 1 take'
check 'and shown so' sees ' *  magma'
command_line 'rate 3'
check 'with its rating' sees ' *3  magma'
keys w
check 'and exported as it is heard' sees 'exported denoised to ~/Music/woodshed'
keys 1 '*' w
check 'with others, too' sees ', 1 denoised as heard, to ~/Music/woodshed'
rm "$HOME/Music/woodshed"/*
keys '*' 4 w
check 'alone again' sees 'exported denoised to ~/Music/woodshed'
command_line 'denoise'
check 'dry again' sees 'dn off'
keys w
check 'or as it was made' sees 'exported to ~/Music/woodshed'
check 'both are there' [ "$(find "$HOME/Music/woodshed" -name '*.wav' | wc -l)" = 2 ]
check 'and told apart by name' [ "$(find "$HOME/Music/woodshed" -name '* denoised.wav' | wc -l)" = 1 ]
exports_quietly()
{
	"$woodshed" --quiet export --denoise wiener 1 "$scratch" >"$scratch/out" 2>"$scratch/told" &&
		[ ! -s "$scratch/told" ]
}
check 'the verb denoises quietly, too' exports_quietly

# ---- sizes and terminals ----------------------------------------------------------

for size in '160 48' '40 10' '20 3' '5 2' '1 1' '3 30' '250 5' '80 24'; do
	t resize-window -t t -x "${size% *}" -y "${size#* }"
	keys z i l z o
	sleep 0.2
done
check 'after all sizes down to one cell' sees '4 Listen'
t resize-window -t t -x 40 -y 10
check 'at 40x10, whether it is denoised' sees ' *3  dn off'
check 'and what is played, and where' sees ' / 0:04  no sound'
t resize-window -t t -x 80 -y 24
keys 1 Enter 4
soon shows_row '^L .*[0-9]  pk' && keys 1 s
sees_no '▶'
sleep 0.5
keys 4
sees '10k│'
check 'stopped, there is no level' soon shows_row '^L .* -  pk'
start 80 24 tmux-256color NO_COLOR=1
sees Library && keys 4
check 'without colours, shades' sees '###'
start 80 24 tmux-256color LC_ALL=C
sees Library && keys 4
check 'without UTF-8' sees '10k|'

# ---- to the trash, while it is heard -----------------------------------------------

start 80 24
sees third && keys Space 4
sees '▶ third' && keys Space
sees '‖ third' && keys D
check 'what is heard goes to the trash' sees 'moved 1 take to the trash'
check 'and the next one waits in its place' sees '‖ second'
keys '('
check 'the first one now' sees 'this is the first one'
keys Space
sees '▶ second' && keys D
check 'while it is played, the next one is played' sees '▶ first'
keys D
sleep 1 # or it ends by itself
check 'after the last one there is silence' shows_no '▶'
check 'and nothing more to be seen' sees 'No takes yet'
keys u u u
check 'one by one they come back' sees 'taken back: moved 1 take to the trash'
keys 1
check 'all of them' sees '3 takes'
check 'the first to go, too' sees third
start 80 24
sees third && keys 4
check 'what is only shown' sees ' third '
keys D
check 'goes there, too' sees 'moved 1 take to the trash'
check 'and the list is without it' sees '2 takes'
keys u
check 'until it is back' sees '3 takes'

# ---- ended in the middle of an export ------------------------------------------------

half()
{
	find "$HOME/Music/woodshed" -name '.*.tmp' | grep -q .
}
no_half()
{
	! half
}
is_on_its_way_out()
{
	[ "$(t display -p -t t '#{alternate_on}')" = 0 ]
}
for last in '' Q; do
	start 80 24
	sees third && keys Space 4
	sees ' / 0:04' && keys d
	sees 'dn wiener' && touch "$scratch/slow"
	keys w
	check 'half an export is there' soon half
	pid=$(workstation_pid)
	[ -z "$last" ] || { keys "$last" && soon is_on_its_way_out; }
	kill -TERM "$pid"
	check "a signal ends it${last:+ on its way out}" has_left 143
	check 'and half an export' no_half
	rm "$scratch/slow"
done

# ---- a file that ends early ---------------------------------------------------------

third=$("$woodshed" takes --json third | sed 's/.*"file": *"\([^"]*\)".*/\1/')
truncate -s 300000 "$third"
start 80 24
sees third
# Nothing comes after it.
command_line 'filter third'
sees '1 of' && keys g g
check 'the details tell it' sees 'the file lacks 1.7 s: 0:02 of 0:04 are there: takes/'
keys Enter 4
sees '10k│'
check 'what is missing is said' sees 'the file lacks 1.7 s: 0:02 of 0:04 are there'
keys w
check 'an export does not pretend' sees 'exported what there is, to ~/Music/woodshed: the file lacks 1.7 s'

done_testing
