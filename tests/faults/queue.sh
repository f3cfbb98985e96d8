#!/bin/sh
# Queue, worker, takes: what users and scripts do with them, and workers that are
# killed.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

mkdir -p "$WOODSHED_LIBRARY/models" "$scratch/cwd"
cd "$scratch/cwd" || exit 99
cp -r "$fixtures/mono" "$WOODSHED_LIBRARY/models/tiny"

queue()
{
	run "$woodshed" queue -m tiny -s 0.2 "$@"
}

# lines N: so many lines on stdout
lines()
{
	[ "$(wc -l <"$scratch/out")" = "$1" ]
}

# jobs_are STATE N
jobs_are()
{
	[ "$("$woodshed" jobs --json --state "$1" | wc -l)" = "$2" ]
}

# json PYTHON: true of `lines`, the objects on stdout.
json()
{
	python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert eval(sys.argv[2]), lines' "$scratch/out" "$1"
}

# ---- adding ---------------------------------------------------------------

queue --seed 7 'slow piano'
check 'a job is queued' succeeds
check 'and told' grep -q '^job 1  seed 7  slow piano$' "$scratch/out"
queue --count 3 --seed 18446744073709551613 --json 'three takes'
check 'a batch is a job a take' lines 3
check 'with its seeds' json '[j["seed"] for j in lines] == [2**64 - 3, 2**64 - 2, 2**64 - 1]'
check 'and all fields' json 'all({"id", "state", "prompt", "model", "seed", "seconds", "stage",
	"done", "total", "attempts", "error", "created", "take"} <= j.keys() for j in lines)'
queue 'a {slow|fast} {piano|guitar} piece'
check 'wildcards stand for all' lines 4
queue --pick 2 --seed 1 'a {slow|fast} {piano|guitar} piece'
check 'or for some' lines 2
queue --sweep-cfg 1..3 --sweep-temperature 0.5,1 --count 2 p
check 'a sweep multiplies' lines 12
printf 'from a file\n\n# a comment\n  and {another|a third}\r\n' >prompts
queue --prompts prompts
check 'prompts from a file' lines 3
run "$woodshed" queue -m tiny --prompts - <prompts
check 'nothing on standard input is an error' status_is 2
"$woodshed" queue -m tiny -s 0.2 --prompts - <prompts >"$scratch/out" 2>"$scratch/err"
check 'prompts from standard input' lines 3
queue --dry-run --count 4 p
check 'a dry run tells' grep -q '^4 jobs, time unknown (tiny has not rendered here yet), 102 kB' "$scratch/out"
check 'and queues nothing' jobs_are queued 28

wrong()
{
	want=$1
	words=$2
	shift 2
	queue "$@"
	check "queue $*" fails_with "$want" "$words"
}
wrong 2 "without its '}'" 'a {b'
wrong 2 'more than 10000' '{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}'
wrong 2 'more than 10000 jobs' --count 256 '{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}'
wrong 2 "'3..1' is no number and no range" --sweep-cfg 3..1 p
wrong 2 "'1..6:0' is no number and no range" --sweep-cfg 1..6:0 p
printf 'nul\0here\n' >nul
wrong 1 'is no text' --prompts nul
wrong 2 '--sweep-cfg takes numbers from 0 to 1000' --sweep-cfg -1 p
wrong 2 'exclude each other' --prompts prompts p
wrong 1 'none' --prompts none
wrong 2 'one prompt' slow piano
wrong 1 'cannot read' --continue none.wav p
wrong 2 'unknown option --out' --out x.wav p
wrong 2 '--steps belongs to the diffusion engines' --steps 10 p
wrong 2 '--sweep-steps belongs to the diffusion engines' --sweep-steps 10,20 p
python3 -c 'print("{a|b} c\n" * 2000)' >many
wrong 2 'more than 10000 jobs' --prompts many --pick 10000
run "$woodshed" queue -m none p
check 'a model that is not installed' fails_with 1 "no model 'none'"
run "$woodshed" queue
check 'no prompt' fails_with 2 'needs a prompt'

# ---- the queue ------------------------------------------------------------

run "$woodshed" jobs
check 'jobs lists them' lines 28
run "$woodshed" cancel 2 3
check 'cancel' succeeds
check 'tells' grep -q '^2 cancelled$' "$scratch/out"
run "$woodshed" cancel 2
check 'cancelled once' fails_with 2 'is cancelled, not queued or at work'
run "$woodshed" retry 2
check 'retry' succeeds
run "$woodshed" cancel 99
check 'no such job' fails_with 2 'no job 99'
run "$woodshed" cancel x
check 'no number' fails_with 2 'no number of a job'
run "$woodshed" cancel
check 'no job named' fails_with 2 'name jobs'
run "$woodshed" jobs --pause
check 'pause' succeeds
run "$woodshed" worker
check 'a paused queue is left alone' status_is 0
check 'and said to be' says 'the queue is paused; woodshed jobs --resume'
run "$woodshed" --quiet worker
check 'but not where no warnings are wanted' succeeds
check 'all of it' jobs_are queued 27
run "$woodshed" jobs --resume

# ---- work -----------------------------------------------------------------

run "$woodshed" worker
check 'a worker empties the queue' succeeds
check 'all are done' jobs_are 'done' 27
run "$woodshed" takes
check 'and are takes' lines 27
run "$woodshed" takes --json
check 'with all fields' json 'all({"id", "job", "prompt", "negative", "model", "seed", "seconds", "rate",
	"channels", "file", "favourite", "rating", "lufs", "peak", "created", "missing"} <= t.keys()
	for t in lines)'
check 'too short to have a loudness, but not a peak' json 'all(t["lufs"] is None and t["peak"] < 20 for t in lines)'
check 'whose files are there' json 'all(__import__("os").path.getsize(t["file"]) > 1000 for t in lines)'
check 'and for the user alone' json 'all(__import__("os").stat(t["file"]).st_mode & 0o77 == 0 for t in lines)'
check 'no file is left half' [ -z "$(find "$WOODSHED_LIBRARY/takes" "$WOODSHED_LIBRARY/work" -name '*.tmp' -o -name '*.codes')" ]
run "$woodshed" takes --json seed:7 slow
check 'a filter' json 'len(lines) == 1 and lines[0]["prompt"] == "slow piano"'
for word in -slow -hiphop; do
	run "$woodshed" takes seed:7 $word
	check "an option that is none: $word" fails_with 2 "a word to leave out goes behind --: -- $word"
done
run "$woodshed" takes --json -- seed:7 -slow
check 'a word to leave out' lines 0
run "$woodshed" takes 'dur>long'
check 'a wrong one' fails_with 2 'dur takes a number'
run "$woodshed" takes --limit 3 --order oldest
check 'a limit' lines 3
run "$woodshed" queue -m tiny -s 0.2 --dry-run --count 10 p
check 'now the time is known' grep -q '^10 jobs, about .*, 256 kB' "$scratch/out"
elsewhere="--library $scratch/elsewhere"
# shellcheck disable=SC2086
dry_run()
{
	run "$woodshed" $elsewhere queue -m "$fixtures/mono" -s 0.2 --dry-run --json p
}
# shellcheck disable=SC2086
render $elsewhere -m "$fixtures/mono" -s 0.2 -o forecast.wav p
dry_run
check 'render --out leaves the library alone' json 'lines[0]["seen"] == 0'
# shellcheck disable=SC2086
render $elsewhere -m "$fixtures/mono" -s 0.2 -n 3 p
dry_run
check 'what render takes is known, too' json '(lambda f: f["seen"] == 1 and f["wall_s"] > 0 and
	f["load_s"] > 0 and f["bytes"] == 25600)(lines[0])'

# The same take as without a queue.
render -m tiny -s 0.2 --seed 7 -o alone.wav 'slow piano'
same_as_alone()
{
	same_samples alone.wav "$("$woodshed" takes --json seed:7 slow | python3 -c 'import json, sys; print(json.load(sys.stdin)["file"])')"
}
check 'the samples are those of render' same_as_alone
run "$woodshed" recipe --verify "$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | head -n 1)"
check 'and can be made again' status_is 0

# render without --out is in the library, too.
render -m tiny -s 0.2 --seed 5 'by render'
check 'render' succeeds
run "$woodshed" takes --json by render
check 'adds a take' json 'len(lines) == 1 and lines[0]["seed"] == 5 and lines[0]["lufs"] is None'

# A job on hold.
queue --seed 11 --hold 'held back'
held=$(cut -d ' ' -f 2 "$scratch/out")
run "$woodshed" worker
check 'a job on hold is left alone' jobs_are queued 1
run "$woodshed" jobs
check 'and shown as such' grep -q "^ *$held  held " "$scratch/out"
run "$woodshed" jobs --release 1
check 'only waiting ones are released' fails_with 2 'not queued'
run "$woodshed" jobs --release "$held"
check 'release' succeeds
run "$woodshed" worker
check 'then it is done' jobs_are queued 0

# ---- failures -------------------------------------------------------------

queue --seed 1 'will fail'
mv "$WOODSHED_LIBRARY/models/tiny" "$scratch/away"
run "$woodshed" worker
check 'the worker goes on' status_is 0
check 'a job whose model is gone fails' jobs_are failed 1
run "$woodshed" jobs --json --state failed
check 'and says why' json '"no model" in lines[0]["error"]'
mv "$scratch/away" "$WOODSHED_LIBRARY/models/tiny"
run "$woodshed" retry --all
check 'retry --all' succeeds
run "$woodshed" worker
check 'works when it is back' jobs_are failed 0

# ---- workers that die -----------------------------------------------------

for seed in 1 2 3 4 5 6; do
	"$woodshed" queue -m tiny -s 6 --seed "$((seed * 100))" "killed $seed" >/dev/null
done
before=$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | wc -l)
tries=0
while [ "$("$woodshed" jobs --json --state queued | wc -l)" -gt 0 ] && [ $tries -lt 60 ]; do
	tries=$((tries + 1))
	"$woodshed" worker >/dev/null 2>&1 &
	worker=$!
	# Somewhere in a job of about a tenth of a second, or between two.
	python3 -c 'import random, time; time.sleep(random.random() * 0.6)'
	kill -9 "$worker" 2>/dev/null
	wait "$worker" 2>/dev/null
	"$woodshed" retry --all >/dev/null 2>&1
done
"$woodshed" retry --all >/dev/null 2>&1
run "$woodshed" worker
check 'after all that' succeeds
check 'nothing waits' jobs_are queued 0
check 'nothing is at work' jobs_are rendering 0
check 'nothing failed' jobs_are failed 0
run "$woodshed" takes --json killed
check 'each is there once' json 'sorted(t["seed"] for t in lines) == [100, 200, 300, 400, 500, 600]'
check 'with its file' [ "$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | wc -l)" = "$((before + 6))" ]
check 'no temporary file is left' [ -z "$(find "$WOODSHED_LIBRARY/takes" -name '.*')" ]

# ---- the rest -------------------------------------------------------------

run "$woodshed" backup copy.db
check 'backup' succeeds
check 'is there' [ -s copy.db ]
run "$woodshed" backup copy.db
check 'never over another' fails_with 2 'exists'
run "$woodshed" unload
check 'unload' succeeds
file=$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | head -n 1)
mv "$file" "$scratch/lost.wav"
run "$woodshed" takes missing
check 'a missing file is shown' lines 1
run "$woodshed" takes --json
check 'to programs, too' json 'sum(t["missing"] for t in lines) == 1'
run "$woodshed" doctor
check 'doctor counts' grep -q "^takes  *$((before + 6)), of which 1 lack their file$" "$scratch/out"
mv "$scratch/lost.wav" "$file"
run "$woodshed" takes missing
check 'not once it is back' lines 0
mkdir out
run "$woodshed" export 1 2 out
check 'export by number' status_is 0
check 'writes both' [ "$(find out -name '*.wav' | wc -l)" = 2 ]
run "$woodshed" export 9999 out
check 'no such take' grep -q 'no take 9999' "$scratch/err"
run "$woodshed" doctor
check 'doctor counts again' grep -q "^takes  *$((before + 6))$" "$scratch/out"
check 'and tells what known models need' grep -q \
	'stable-audio-open-1.0 (stable-audio) needs 5.3 GB of disk.*HF_TOKEN.*https://' "$scratch/out"
run "$woodshed" doctor --repair
check 'a sound library' grep -q '^database  *sound$' "$scratch/out"

# damage OFFSET: what a disk does to a database
damage()
{
	python3 - "$WOODSHED_LIBRARY" "$1" <<'PYTHON'
import glob, os, sys
for name in glob.glob(sys.argv[1] + "/library.db-*"):
    os.remove(name)
with open(sys.argv[1] + "/library.db", "r+b") as f:
    f.seek(int(sys.argv[2]))
    f.write(b"x" * 2000)
PYTHON
}
damage 4096
run "$woodshed" doctor
check 'doctor finds what is damaged inside' says 'is damaged'
damage 0
run "$woodshed" takes
check 'a damaged one' fails_with 1 'doctor --repair'
run "$woodshed" doctor --repair
check 'is made anew' grep -q 'was damaged' "$scratch/out"
check 'and kept' [ -s "$WOODSHED_LIBRARY/library.db.damaged-1" ]
run "$woodshed" takes
check 'every take is found again' lines "$((before + 6))"
run "$woodshed" takes --json by render
check 'with its prompt and seed' json 'len(lines) == 1 and lines[0]["seed"] == 5'
rm "$WOODSHED_LIBRARY"/library.db*
run "$woodshed" worker
check 'without a database' succeeds
run "$woodshed" takes
check 'a worker finds them, too' lines "$((before + 6))"
rm "$WOODSHED_LIBRARY"/library.db*
render -m tiny -s 0.2 --seed 6 'after the loss'
check 'render without a database' status_is 0
check 'tells that takes were found' says "made anew from $((before + 6)) files"
run "$woodshed" takes
check 'and is no end of them' lines "$((before + 7))"

# ---- a library that is removed while a worker renders -----------------------

# Unlike in length, so that each is a batch of its own; enough of them that some wait when a slow test removes it.
for seconds in 5 5.2 5.4 5.6 5.8 6 6.2 6.4 6.6 6.8; do
	run "$woodshed" queue -m tiny -s $seconds 'removed under it'
done
cp -r "$WOODSHED_LIBRARY" "$scratch/kept"
before=$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | wc -l)
"$woodshed" --quiet worker --stay >"$scratch/out" 2>"$scratch/err" &
worker=$!
tries=0
until jobs_are rendering 1 || [ $tries -gt 200 ]; do
	tries=$((tries + 1))
	sleep 0.02
done
rm "$WOODSHED_LIBRARY/library.db"
wait $worker
status=$?
check 'a worker whose library is removed ends' fails_with 1 'was moved or removed'
check 'and makes none in its place' test ! -e "$WOODSHED_LIBRARY/library.db"
after=$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | wc -l)
check 'what it had begun is whole' [ "$after" -gt "$before" ]
check 'and the last that is rendered' [ "$after" -lt $((before + 10)) ]
run "$woodshed" takes
check 'what it wrote last waits for its database' fails_with 1 'put it back'
rm -f "$WOODSHED_LIBRARY"/library.db-*
run "$woodshed" takes --json
check 'the files are found again, which is told' says "made anew from $after files"
check 'all of them' lines "$after"
run "$woodshed" takes --json
check 'once' succeeds
rm "$WOODSHED_LIBRARY"/library.db*
cp "$scratch/kept"/library.db* "$WOODSHED_LIBRARY"
run "$woodshed" worker
check 'the library of before goes on' succeeds
check 'with what was left' [ "$(find "$WOODSHED_LIBRARY/takes" -name '*.wav' | wc -l)" -ge $((before + 10)) ]
check 'nothing waits' jobs_are queued 0
rm "$WOODSHED_LIBRARY"/library.db*
python3 -c '
import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("CREATE TABLE bookmarks(url)")' "$WOODSHED_LIBRARY/library.db"
run "$woodshed" doctor --repair
check 'the database of another program' status_is 1
check 'is not ours' says "another program's database"
check 'and left alone' [ ! -e "$WOODSHED_LIBRARY/library.db.damaged-1" ]

# ---- codes that are kept ----------------------------------------------------

export WOODSHED_LIBRARY="$scratch/restored"
work=$WOODSHED_LIBRARY/work
mkdir -p "$WOODSHED_LIBRARY/models"
cp -r "$fixtures/mono" "$WOODSHED_LIBRARY/models/tiny"

# kept N: files of work/
kept()
{
	[ "$(find "$work" -type f | wc -l)" = "$1" ]
}

# The codes are a few kB, and the database; the file does not come to its end.
half()
{
	run sh -c 'ulimit -f 1200; exec "$@"' sh "$woodshed" worker
}

run "$woodshed" backup empty.db
run "$woodshed" queue -m tiny -s 20 --seed 2 rain
half
check 'a decode fails' jobs_are failed 1
check 'its codes are kept' kept 1
half
check 'by every worker that starts, for a retry' kept 1
rm "$WOODSHED_LIBRARY"/library.db*
cp empty.db "$WOODSHED_LIBRARY/library.db"
cp "$work"/1-* "$work/1.codes"
run "$woodshed" queue -m tiny -s 20 --seed 99 drums
half
check 'a restored library has a job of that number' jobs_are failed 1
check 'whose codes are its own, not those of the one before' kept 2
run "$woodshed" retry 1
run "$woodshed" worker
run "$woodshed" takes --json
check 'it is done' json 'len(lines) == 1 and lines[0]["prompt"] == "drums"'
check 'its codes are gone' kept 1
run "$woodshed" recipe --verify "$(find "$WOODSHED_LIBRARY/takes" -name '*.wav')"
check 'and it is what its recipe says' status_is 0
run "$woodshed" worker
check 'those of the one before go when the next worker starts' kept 0
run "$woodshed" queue -m tiny -s 20 --seed 3 rain
half
python3 -c '
import os, sys
with open(sys.argv[1], "r+b") as f:
    f.write(bytes(os.path.getsize(sys.argv[1])))' "$work"/2-*
run "$woodshed" retry 2
run "$woodshed" worker
run "$woodshed" recipe --verify "$("$woodshed" takes --json seed:3 |
	python3 -c 'import json, sys; print(json.load(sys.stdin)["file"])')"
check 'a retry only decodes what was kept' status_is 1
run "$woodshed" queue -m tiny -s 20 --seed 4 rain
half
run "$woodshed" retry 3
run "$woodshed" cancel 3
check 'codes of a job that is cancelled' kept 1
run "$woodshed" worker
check 'go, too' kept 0

# ---- nobody to tell ---------------------------------------------------------

full()
{
	status=0
	"$woodshed" "$@" >/dev/full 2>"$scratch/err" </dev/null || status=$?
	: >"$scratch/out"
}
printf '\357\273\277piano\n' >bom
run "$woodshed" queue -m tiny -s 0.2 --prompts bom
check 'a mark of UTF-8 is no part of a prompt' grep -q '  piano$' "$scratch/out"
full worker
check 'a worker that cannot tell' fails_with 1 'cannot write to standard output'
check 'works' jobs_are queued 0
full queue -m tiny -s 0.2 p
check 'what is queued cannot be told' fails_with 1 'cannot write to standard output'
run "$woodshed" cancel --all
full worker --help
check 'nor can its help' fails_with 1 'cannot write to standard output'

# ---- what the engines warn of -----------------------------------------------

cp -r "$fixtures/../audioldm2/music" "$WOODSHED_LIBRARY/models/ldm"
long=$(printf 'piano %.0s' $(seq 100))
run "$woodshed" queue -m ldm -s 0.05 --steps 1 --negative "$long" p
id=$(sed -n 's/^job \([0-9]*\) .*/\1/p' "$scratch/out")
run "$woodshed" worker
check 'a text that is too long is told by the worker' \
	grep -q "warning: job $id: the negative prompt is too long for CLAP: the last" "$scratch/err"
run "$woodshed" queue -m ldm -s 0.05 --steps 1 "$long"
run "$woodshed" --quiet worker
check 'but not where no warnings are wanted' [ ! -s "$scratch/err" ]
run "$woodshed" queue -m ldm -s 0.17 p
check 'longer than the model makes' fails_with 2 'longer than the 0.16 s'
run "$woodshed" queue -m ldm -s 0.16 p
check 'as long as it makes' succeeds
run "$woodshed" cancel --all
rm -r "$WOODSHED_LIBRARY/models/ldm"

# ---- a queue that cannot be written -----------------------------------------

# sql TEXT: on the database
sql()
{
	python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript(sys.argv[2])
db.close()' "$WOODSHED_LIBRARY/library.db" "$1"
}

run "$woodshed" queue -m tiny -s 0.2 --seed 50 --count 2 'two of a batch'
sql "CREATE TRIGGER full BEFORE UPDATE OF done ON jobs WHEN NEW.seed = 50 AND NEW.done > 0
	BEGIN SELECT RAISE(ABORT, 'no room'); END"
run "$woodshed" worker
check 'a worker that cannot write to the queue ends' status_is 1
check 'no job has failed' jobs_are failed 0
check 'both wait' jobs_are queued 2
sql 'DROP TRIGGER full'
run "$woodshed" worker
check 'and are done when it can be written' jobs_are queued 0

done_testing
