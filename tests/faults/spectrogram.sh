#!/bin/sh
# Spectrograms: pictures that are whole or not there, text that fits, wrong words.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

model=$fixtures/mono
dir=$scratch/files
mkdir "$dir" "$dir/out" && cd "$dir" || exit 99
unset COLORTERM COLUMNS
escape=$(printf '\033')

# What PNG demands, by somebody else's hand: python3 has zlib, but no reader of it.
cat >png.py <<'PY'
import struct, sys, zlib

data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n", "signature"
at, kinds, packed = 8, [], b""
while at < len(data):
    size, kind = struct.unpack_from(">I4s", data, at)
    body = data[at + 8:at + 8 + size]
    assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body), kind
    kinds.append(kind)
    packed += body if kind == b"IDAT" else b""
    if kind == b"IHDR":
        head = struct.unpack(">IIBBBBB", body)
    at += 12 + size
assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND", kinds
assert "%dx%d" % head[:2] == sys.argv[2] and head[2:] == (8, 2, 0, 0, 0), head
rows = zlib.decompress(packed)
assert len(rows) == head[1] * (1 + 3 * head[0]), len(rows)
assert len(set(rows)) > 100, "no picture"
PY

spectrogram()
{
	run "$woodshed" spectrogram "$@"
}

is_png()
{
	python3 png.py "$1" "$2" >"$scratch/png" 2>&1
}

render -m "$model" -s 1 --seed 7 -o take.wav 'slow piano'
check 'a file to draw' status_is 0
spectrogram take.wav out/a.png
check 'a picture' succeeds
check 'no word about it' [ ! -s "$scratch/out" ]
check 'is a PNG' is_png out/a.png 1600x600
check 'and alone' holds_only out a.png
cp out/a.png before.png
spectrogram take.wav out/a.png
check 'again' succeeds
check 'the same bytes' same out/a.png before.png
for word in '--scale mel' '--scale linear' '--fft 512' '--range -60:-10' '--map viridis'; do
	# shellcheck disable=SC2086
	spectrogram $word take.wav out/b.PNG
	check "$word" succeeds
	check "$word makes another picture" differ out/b.PNG before.png
done
spectrogram --size 321x123 take.wav out/c.png
check 'a size' is_png out/c.png 321x123
head -c 60000 take.wav >short.wav
spectrogram short.wav out/d.png
check 'a file that ends early is drawn' status_is 0
check 'is a PNG' is_png out/d.png 1600x600
check 'and is told, once' [ "$(grep -c "warning: 'short.wav' is damaged: the file lacks " "$scratch/err")" = 1 ]
spectrogram --quiet short.wav out/d.png
check 'but not where no warnings are wanted' [ ! -s "$scratch/err" ]
rm out/*

# A take by its number.
render -m "$model" -s 1 --seed 7 'slow piano'
spectrogram 1 out/take.png
check 'a take' succeeds
check 'is drawn' is_png out/take.png 1600x600
spectrogram 77 out/none.png
check 'one that is not there' fails_with 2 'there is no take 77'
check 'is not drawn' holds_only out take.png
rm out/*

# In text.
# fits WIDTH HEIGHT: that many lines, none longer, one of them so long
fits()
{
	[ "$(wc -l <"$scratch/out")" = "$2" ] &&
		[ "$(python3 -c 'import sys; print(max(len(line.rstrip("\n")) for line in sys.stdin))' \
			<"$scratch/out")" = "$1" ]
}
plain()
{
	! grep -q "$escape" "$scratch/out" && ! LC_ALL=C grep -q '[^ -~]' "$scratch/out"
}
spectrogram take.wav
check 'text' succeeds
check 'is 80 columns wide' fits 80 24
check 'and plain' plain
check 'with frequencies' grep -q '^  1k|' "$scratch/out"
check 'and seconds' grep -q '^     0.0s ' "$scratch/out"
check 'and a picture' grep -q '@\|%\|#' "$scratch/out"
cp "$scratch/out" plain.txt
spectrogram --size 200x50 take.wav
check 'a size in characters' fits 200 50
spectrogram --size 20x5 take.wav
check 'the smallest' fits 20 5
run env LC_ALL=C.UTF-8 "$woodshed" spectrogram take.wav
check 'UTF-8 without a terminal' fits 80 24
check 'has no escapes' [ "$(grep -c "$escape" "$scratch/out")" = 0 ]

# A terminal of 100x30 that knows colours, or whatever $@ sets.
on_terminal()
{
	# shellcheck disable=SC2016
	run env TERM=xterm-256color LC_ALL=C.UTF-8 "$@" python3 -c '
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
out = b""
while True:
    try:
        some = os.read(fd, 65536)
    except OSError:
        break
    if not some:
        break
    out += some
sys.stdout.buffer.write(out.replace(b"\r\n", b"\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$woodshed" $flags spectrogram take.wav
	cp "$scratch/out" "$scratch/raw"
	sed -i "s/$escape\[[0-9;]*m//g" "$scratch/out"
}
has()
{
	grep -qF "$1" "$scratch/raw"
}
has_no()
{
	! has "$1"
}
flags=''
export LC_ALL=C.UTF-8
on_terminal A=1
check 'a terminal' status_is 0
check 'its width and height' fits 100 29
check '256 colours' has "${escape}[48;5;"
check 'no true colour' has_no ';2;'
check 'half blocks' has '▀'
on_terminal COLORTERM=truecolor
check 'true colour' has "${escape}[48;2;"
check 'of that width' fits 100 29
on_terminal LC_ALL=C
check 'no UTF-8: blanks' has "${escape}[48;5;"
check 'without half blocks' has_no '▀'
check 'or other characters' plain
for word in NO_COLOR=1 TERM=dumb TERM=linux TERM=vt100; do
	on_terminal COLORTERM= "$word"
	check "$word" fits 100 29
	check "$word: no escapes" has_no "$escape"
done
flags=--plain
on_terminal COLORTERM=truecolor
check '--plain: no escapes' has_no "$escape"
check '--plain: ASCII' plain
flags=--color=never
on_terminal COLORTERM=truecolor
check '--color=never: no escapes' has_no "$escape"
export LC_ALL=C
run env -u TERM LC_ALL=C.UTF-8 "$woodshed" --color=always spectrogram take.wav
check '--color=always without a terminal' grep -q "$escape\[48;5;.*▀" "$scratch/out"
check 'every line ends with the own colours' \
	[ "$(grep -c "$escape\[48" "$scratch/out")" = "$(grep -c "$escape\[0m$" "$scratch/out")" ]

# wrong STATUS WORDS ARGUMENTS...
wrong()
{
	want=$1
	words=$2
	shift 2
	spectrogram "$@"
	check "spectrogram $*" fails_with "$want" "$words"
}
head -c 30 take.wav >cut.wav
wrong 2 'spectrogram takes a take or a file'
wrong 2 'spectrogram takes a take or a file' take.wav out/a.png out/b.png
wrong 2 'give a name that ends in .png' take.wav out/a.jpg
wrong 2 'give a name that ends in .png' take.wav take.wav
wrong 2 '--scale takes log|mel|linear' --scale bark take.wav
wrong 2 '--map takes inferno|' --map jet take.wav
wrong 2 '--fft takes a whole number from 256 to 16384' --fft 128 take.wav
wrong 2 '--fft takes a power of two' --fft 1000 take.wav
for range in '' : -90 0:-90 -90:-90 a:0 -90:0: -1000:0 nan:0 -90:inf; do
	wrong 2 '--range takes two levels' --range "$range" take.wav
done
for size in '' x 100 0x0 199x600 1600x99 99999x600 1600x600x1 -1x600 1e3x600; do
	wrong 2 '--size takes width and height in pixels' --size "$size" take.wav out/a.png
done
wrong 2 '--size takes width and height in characters' --size 19x24 take.wav
wrong 2 'did you mean --scale?' --scael mel take.wav
wrong 1 'cannot read' none.wav out/a.png
wrong 1 'cut.wav' cut.wav out/a.png
wrong 1 'No such file or directory' take.wav none/a.png
mkdir dir.png
wrong 1 'it is no file' take.wav dir.png
mkfifo pipe.png
wrong 1 'it is no file' take.wav pipe.png
check 'nothing was written' holds_only out

# A disk that fills up; a folder that may not be written.
if mkdir full && mount -t tmpfs -o size=8k tmpfs full 2>/dev/null; then
	mounted=$dir/full
	spectrogram take.wav full/a.png
	check 'a full disk' fails_with 1 'No space left on device'
	check 'is left as it was' holds_only full
	echo old >full/a.png
	spectrogram take.wav full/a.png
	check 'an old file' fails_with 1 'free some space there'
	check 'stays' [ "$(cat full/a.png)" = old ]
	mount -o remount,ro full
	spectrogram take.wav full/b.png
	check 'a read-only disk' fails_with 1 'Read-only file system'
	umount full
	mounted=''
else
	skip 'a full disk' 'cannot mount a small tmpfs here (needs root)'
fi
if [ "$(id -u)" != 0 ]; then
	mkdir closed && chmod 555 closed
	spectrogram take.wav closed/a.png
	check 'a folder that may not be written' fails_with 1 'Permission denied'
else
	skip 'a folder that may not be written' 'root may write anywhere'
fi
# shellcheck disable=SC2016
run sh -c 'ulimit -f 4; exec "$@"' sh "$woodshed" spectrogram take.wav out/a.png
check 'a file size limit' fails_with 1 'File too large'
check 'leaves nothing' holds_only out
status=0
"$woodshed" spectrogram take.wav >/dev/full 2>"$scratch/err" || status=$?
check 'a full standard output is told' says 'cannot write to standard output'
check 'and a failure' status_is 1
done_testing
