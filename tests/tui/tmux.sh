# shellcheck shell=sh disable=SC2154
# What the tests of screens share: a tmux of their own, in $scratch, with one
# window `t`, and waiting for what is seen in it.
export LC_ALL=C.UTF-8 TMUX_TMPDIR="$scratch"
unset TMUX NO_COLOR COLORTERM TERMINFO TERMINFO_DIRS

t()
{
	tmux -u -L woodshed -f /dev/null "$@"
}

# The window of before is gone.
end_tmux()
{
	t kill-server 2>/dev/null
	while t has-session 2>/dev/null; do
		sleep 0.05
	done
}

# Ten seconds for a text to be seen, less when the program has told its status;
# $scratch/out: the screen then.
sees()
{
	i=0
	until t capture-pane -p -t t >"$scratch/out" 2>/dev/null && grep -qF -- "$1" "$scratch/out"; do
		i=$((i + 1))
		[ $i -lt 200 ] && [ ! -e "$scratch/status" ] || return 1
		sleep 0.05
	done
}
