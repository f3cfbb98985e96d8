# shellcheck shell=sh disable=SC2034,SC2154
# What the audio tests share: a PulseAudio server of their own with two sinks
# that lead nowhere, and a recorder of what arrives at the first.  No sound card
# is touched.  Called as: TEST WOODSHED FIXTURES
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/../faults/common.sh"

here=$(dirname "$(realpath "$0")")
recorder=''
for tool in pulseaudio pactl parec; do
	command -v $tool >/dev/null ||
		skip_all "$tool is not installed (apt-get install pulseaudio pulseaudio-utils)"
done
[ -n "$(find /usr/lib /usr/lib64 -name 'libasound_module_pcm_pulse.so' 2>/dev/null)" ] ||
	skip_all 'the pulse plugin of ALSA is not installed (apt-get install libasound2-plugins)'

export XDG_RUNTIME_DIR="$scratch/runtime" PULSE_COOKIE="$scratch/cookie"
export PULSE_SERVER="unix:$XDG_RUNTIME_DIR/pulse/native" HOME="$scratch"
export JACK_DEFAULT_SERVER=woodshed-has-none
export ALSA_CONFIG_PATH="$scratch/asound.conf"
mkdir -m 700 "$XDG_RUNTIME_DIR"
cat >"$ALSA_CONFIG_PATH" <<'CONF'
pcm.!default { type pulse device "one" }
pcm.one { type pulse device "one" }
pcm.two { type pulse device "two" }
CONF
# Without norewinds a null sink takes its first buffers up to 2 s late.
cat >"$scratch/server.pa" <<'CONF'
load-module module-native-protocol-unix auth-anonymous=1
load-module module-null-sink sink_name=one rate=48000 channels=2 format=s16le norewinds=1
load-module module-null-sink sink_name=two rate=48000 channels=2 format=s16le norewinds=1
set-default-sink one
CONF

start_server()
{
	pulseaudio -n -F "$scratch/server.pa" --daemonize=no --exit-idle-time=-1 --disallow-exit \
		--disable-shm=yes --use-pid-file=no >"$scratch/server.log" 2>&1 &
	server=$!
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		! pactl list short sinks 2>/dev/null | grep -q two || return 0
		sleep 0.2
	done
	sed 's/^/# /' "$scratch/server.log"
	kill "$server"
	server=''
	skip_all 'no sound server of our own starts here'
}

end_server()
{
	kill -KILL "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	server=''
}

# record COMMAND...: run COMMAND while what arrives goes to $scratch/heard.raw
record()
{
	parec --device=one.monitor --rate=48000 --channels=2 --format=s16le --latency-msec=20 \
		--raw "$scratch/heard.raw" 2>/dev/null &
	recorder=$!
	sleep 0.5
	run "$@"
	sleep 0.4
	kill -INT "$recorder"
	wait "$recorder"
	recorder=''
}

now_ms()
{
	echo $(($(date +%s%N) / 1000000))
}
