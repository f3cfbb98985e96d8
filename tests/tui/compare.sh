#!/bin/sh
# Compare, triage and the race sheet as somebody uses them, inside tmux.
#	compare.sh WOODSHED FIXTURES
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"

no_sound

# The position that the line of what is played tells, in seconds.
position()
{
	t capture-pane -p -t t | sed -n 's|.* 0:0*\([0-9][0-9]*\) / 0:.*|\1|p' | tail -n 1
}

no_take()
{
	"$woodshed" remote status >"$scratch/out" && grep -q '"playing": true' "$scratch/out" &&
		! grep -q '"take"' "$scratch/out"
}

finds()
{
	"$woodshed" takes --json -- "$2" >"$scratch/takes" 2>&1 &&
		[ "$(wc -l <"$scratch/takes")" -eq "$1" ]
}

finds_some()
{
	"$woodshed" takes --json -- "$1" >"$scratch/takes" 2>&1 && [ -s "$scratch/takes" ]
}

# has N FILTER: so many takes are found, within half a minute.
has()
{
	soon finds "$@"
}

jobs_waiting()
{
	[ "$("$woodshed" jobs --json | grep -c '"state": "queued"')" -eq "$1" ]
}

queues()
{
	"$woodshed" queue "$@" >/dev/null
}

install_mono
cp -r "$fixtures/stereo" "$WOODSHED_LIBRARY/models/stereo"
"$woodshed" render -m stereo -s 20 --seed 4 'night train' >/dev/null 2>&1
for seed in 1 2 3; do
	"$woodshed" render -m mono -s 16 --seed $seed 'slow piano' >/dev/null 2>&1
done

# ---- what nobody has heard ----------------------------------------------------------

start 80 24
sees Library
check 'prompts with something unheard' sees '●'
keys l j
check 'and takes' sees '│ take 3'

# ---- compare ------------------------------------------------------------------------

keys C
check 'the takes of a prompt, one above the other' sees 'A  slow piano  mono  take 1'
check 'the second' sees 'B  slow piano  mono  take 2'
check 'the third' sees 'C  slow piano  mono  take 3'
check 'their loudness, and by how much they are softer' sees ' LUFS, -'
check 'the first is heard' sees '▶ A '
keys B
check 'another one' sees '▶ B '
keys A
check 'and the first again' sees '▶ A '
sleep 1
before=$(position)
begun=$(date +%s)
keys a
check 'the next one' sees '▶ B '
after=$(position)
took=$(($(date +%s) - begun))
goes_on()
{
	[ -n "$before" ] && [ -n "$after" ] && [ "$((after - before))" -ge 0 ] &&
		[ "$((after - before))" -le "$((took + 2))" ]
}
check 'at the same position' goes_on
keys a a
check 'and around' sees '▶ A '
keys C
check 'one by its letter' sees '▶ C '
keys D
check 'none by that letter' sees 'these are A to C'
keys g g
check 'where the cursor goes is heard: the first' sees '▶ A '
keys G
check 'the last' sees '▶ C '
keys -H 1b 5b 4d 60 2a 26 # the wheel, up
check 'and by the wheel the one above' sees '▶ B '
keys 1 G Space
check 'something else is played' sees '▶ night train'
keys D
sees 'u takes it back' && keys g g j 5 C
check 'the takes that are compared are heard again' sees '▶ C '
check 'that one, too' sees '▶ slow piano'
check 'and nothing more is said to be read' sees_no 'C is being read'
# Nothing of it is read when the second key comes.
keys 1 C B
check 'what is asked for while it is read is heard then' sees '▶ B '
check 'and no more said to be read' sees_no 'B is being read'
keys 1 m
check 'a mark in the library' sees ' 1 marked'
keys 5
check 'another take is heard' sees '▶ B '
keys DC
check 'it goes to the trash' sees 'moved 1 take to the trash'
keys 1
check 'and takes no mark with it' sees ' 1 marked'
keys u
check 'it is back' sees 'taken back: moved 1 take'
escape
keys k C a a
check 'two on' sees '▶ C '
keys Space
check 'pause' sees '‖ slow piano'
keys Space b
check 'blind: nothing tells them apart' sees 'A  hidden until Enter chooses one'
check 'nor the line of what is played' sees_no 'slow piano'
keys 4
check 'nor the Listen screen' sees 'Hidden until Enter chooses one'
keys Space l l
sees '‖' && played=$(grep '‖' "$scratch/out")
keys D
check 'where nothing goes to the trash' sees 'there is no take here'
check 'and nothing takes its place' sees "$played"
keys Space
keys 1
check 'nor the library' sees_no '▶│'
keys g p
check 'which does not go there' sees 'which is which is hidden'
check 'nor does another program hear of it' no_take
keys 5
keys a a Enter
check 'a choice' sees 'kept, chosen blind · u takes it back'
check 'shows which is which' sees 'slow piano  mono  take'
check 'and is recorded' has 1 kept
keys u
check 'undone' has 0 kept
for size in '160 48' '40 10' '20 3' '1 1' '3 30' '250 5' '80 24'; do
	t resize-window -t t -x "${size% *}" -y "${size#* }"
	keys a h
	sleep 0.1
done
check 'after all sizes' sees '5 Compare'
sleep 3
check 'three seconds of one were heard' soon finds_some heard
# On a busy machine the others were, too, while this test waited for the screen.
playing=$("$woodshed" remote status | sed -n 's/.*"take": *\([0-9]*\).*/\1/p')
elsewhere "UPDATE takes SET heard = 0 WHERE heard AND id <> $playing"
check 'the others are not heard' has 1 heard

# ---- triage -------------------------------------------------------------------------

keys g n
check 'triage of the others' sees '1 of 2'
check 'it plays' sees '▶ slow piano'
check 'goes round in its liveliest part' sees 'A═'
keys z
check 'no verdict to take back' sees 'no verdict was given yet'
keys d
check 'dropped, and on' sees '2 of 2'
keys z
check 'taken back, and back to it' sees '1 of 2'
check 'it is not in the trash' has 1 trash
command_line pause
check 'nothing is begun' sees 'paused'
keys r
check 'made again, and on' sees '2 of 2'
check 'by a job' soon jobs_waiting 1
keys z
check 'taken back, and back to it' sees '1 of 2'
check 'its job, too' soon jobs_waiting 0
keys f
check 'kept' sees '2 of 2'
check 'what others do meanwhile' queues -m mono -s 0.2 elsewhere
keys z
check 'is not what is taken back' sees 'taken back: kept slow piano'
check 'but the verdict' has 0 kept
check 'and back to it' sees '1 of 2'
check 'the job waits' jobs_waiting 1
elsewhere "UPDATE takes SET verdict = 'kept'"
keys f
check 'a verdict that it had' sees '2 of 2'
keys z
check 'had changed nothing' sees 'its verdict had changed nothing'
check 'back to it all the same' sees '1 of 2'
check 'the job waits still' jobs_waiting 1
elsewhere "UPDATE takes SET verdict = ''"
keys f
sees '2 of 2' && keys b
sees '1 of 2' && keys d
check 'judged twice, it is in the trash' has 2 trash
sees '2 of 2' && keys z
check 'the later verdict is taken back' has 1 trash
check 'the first stays' has 1 kept
sees '1 of 2' && keys z
check 'until it is, too' has 0 kept
check 'and back to it once more' sees 'taken back: kept slow piano'
keys z
check 'that was all of them' sees 'no verdict was given yet'
"$woodshed" cancel "$(elsewhere 'SELECT max(id) FROM jobs')" >/dev/null
command_line pause
keys f
check 'kept, and on' sees '2 of 2'
keys d
check 'dropped, and over' sees '1 kept, 1 dropped, 0 made again'
check 'that one is kept' has 1 kept
check 'the other is in the trash' has 2 trash
check 'nothing is left to hear' has 0 -heard
keys u
check 'undo' has 1 trash
keys g n
check 'no more' sees 'Every take has been heard'
for left in 'q 4' 4; do
	elsewhere 'UPDATE takes SET heard = 0'
	keys 1 g n
	sees '1 of' && check 'once more' sees 'A═'
	keys '?' && sees 'Keys and commands: triage' && escape
	check 'help does not end that' sees 'A═'
	# shellcheck disable=SC2086 # keys
	keys $left
	check "left by $left" sees 'dn off'
	sees '└─'
	check 'it is played on' shows_no 'A═'
done

# ---- a race -------------------------------------------------------------------------

keys 1 X
check 'a lane for each model' sees '3 models make'
check 'one' sees 'A  mono'
check 'that comes with woodshed' sees 'B  starter'
check 'the third' sees 'C  stereo'
i=0
until [ "$(t capture-pane -p -t t | grep -c ' LUFS, ')" -eq 3 ] || [ $i -ge 300 ]; do
	i=$((i + 1))
	sleep 0.1
done
check 'all are done' [ "$(t capture-pane -p -t t | grep -c ' LUFS, ')" -eq 3 ]
keys C
check 'one plays' sees '▶ C  stereo'
keys A
check 'the other plays' sees '▶ A  mono'
keys a
check 'and they are compared' sees 'slow piano  stereo  take'

# ---- what was set ---------------------------------------------------------------------

cp -r "$fixtures/../stable_audio/whole" "$WOODSHED_LIBRARY/models/whole"
keys 1
check 'settings of one model' queues -m whole -s 0.04 --steps 3 --cfg 2.5 --negative hum bells
check 'made as it was asked' has 1 bells
command_line 'filter bells'
check 'the take' sees '/bells'
sleep 0.5
keys X
check 'go to those that have them' sees 'cfg 2.5  steps 3'
check 'and who has none is told' sees 'takes no steps, negative'

# ---- a model that makes less than the others --------------------------------------------

lanes_of() # SECONDS: jobs
{
	"$woodshed" jobs --json | grep -c "\"seconds\": \"*$1[,\"]"
}
four_lanes()
{
	[ "$(lanes_of 0.048)" = 4 ]
}
keys 1
command_line 'race a long one'
check 'it is said who makes no more' sees '4 models make 0.048 s of it, not 10: whole makes no more'
check 'and all lanes have that length' soon four_lanes

done_testing
