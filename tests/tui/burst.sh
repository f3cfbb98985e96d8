#!/bin/sh
# Keys that come in one go: what each does is done to the rows, and to the take, that the
# screen would show by then, however long they take to be read.
#	burst.sh WOODSHED MAKE-LIBRARY SLOW-LISTS
# shellcheck source=tests/tui/screen.sh
. "$(dirname "$0")/screen.sh"
make_library=$(realpath "$2")
slow_lists=$scratch/slow-lists.so # LD_PRELOAD ends at a blank
cp "$3" "$slow_lists"

export HOME="$scratch/home"
mkdir "$HOME"
no_sound

# favourites: their ids, a comma between.
favourites()
{
	elsewhere "SELECT coalesce(group_concat(id), '') FROM
		(SELECT id FROM takes WHERE favourite ORDER BY id)"
}

favourites_are()
{
	[ "$(favourites)" = "$1" ]
}

# has_favourites IDS: in the end.
has_favourites()
{
	soon favourites_are "$1" && return
	echo "# $(favourites)"
	return 1
}

are_trashed()
{
	[ "$(elsewhere 'SELECT count(*) FROM takes WHERE trashed')" = "$1" ]
}

# Of the line that is typed: its end, and none of it.
enter=$(printf '\r')
nothing=$(printf '\025')

# ---- a list that is not found at once -------------------------------------------------

"$make_library" "$WOODSHED_LIBRARY" many || finish 99
# The ids, newest first.
rare=$(elsewhere "SELECT t.id FROM takes t JOIN prompts p ON p.id = t.prompt
	WHERE p.text LIKE 'rare %' ORDER BY t.created DESC, t.id DESC")
newest=$(elsewhere 'SELECT max(id) FROM takes')
nth()
{
	echo "$rare" | sed -n "$1p"
}

start 80 24 tmux-256color "LD_PRELOAD=$slow_lists"
check 'all takes' sees ' 800 takes'
typed "/rare${enter}jjf"
check 'a filter, two rows on' has_favourites "$(nth 3)"
check 'is what is seen' sees ' 8 of 800'
typed u
check 'and taken back' has_favourites ''
escape
typed "/rare${enter}Gf"
check 'the last of them' has_favourites "$(nth 8)"
typed u
has_favourites ''
typed "/${nothing}piano${enter}m/${nothing}rare${enter}jjmf"
check 'marks in two lists' has_favourites "$(nth 3),$newest"
typed u
has_favourites ''
escape
escape
sees ' 800 takes'
command_line 'sort oldest'
sees 'oldest first'
typed ":sort newest${enter}ggf"
check 'another order' has_favourites "$newest"
typed u
has_favourites ''
typed "/rare${enter}T1f"
check 'a list that was left for another one is found, too' sees ' 8 of 800'
check 'and its first' has_favourites "$(nth 1)"
keys Q
has_left 0

# ---- what is played -----------------------------------------------------------------

rm -rf "$WOODSHED_LIBRARY"
"$make_library" "$WOODSHED_LIBRARY" sound || finish 99
elsewhere 'UPDATE takes SET favourite = 0'
first=$(elsewhere 'SELECT id FROM takes WHERE seed = 99')
second=$(elsewhere 'SELECT id FROM takes WHERE seed = 100')
third=$(elsewhere 'SELECT min(id) FROM takes')
start 80 24
sees ' 4 takes' && typed 'zR'
command_line 'continue off'
sees 'playing stops at the end'
typed 'j 4'
sees '10k│'
typed ')f'
check 'the next take, and what is done to it' has_favourites "$second"
typed '(f'
check 'the one before' has_favourites "$first,$second"
elsewhere "UPDATE takes SET trashed = 1 WHERE id = $second" \
	"UPDATE takes SET rating = 3 WHERE id = $first" \
	"INSERT INTO undo(action, label, take, field, old, new)
	SELECT max(action) + 1, 'done elsewhere', $first, 'rating', 0, 3 FROM undo"
sees ' *3 '
typed ')f'
check 'what left the list meanwhile is not played' has_favourites "$third,$first,$second"
typed 'DD'
check 'two that are heard, one after the other, go to the trash' soon are_trashed 3
keys Q
has_left 0

# ---- other lists --------------------------------------------------------------------

is_cancelled()
{
	[ "$(elsewhere "SELECT state FROM jobs WHERE id = $1")" = cancelled ]
}

rm -rf "$WOODSHED_LIBRARY"
"$make_library" "$WOODSHED_LIBRARY" full || finish 99
start 80 24
sees ' 60 takes' && typed 3jjx
check 'the third job of a queue that was not seen yet' soon is_cancelled 4
keys Q
has_left 0
check 'nothing on stderr' test ! -s "$scratch/err"

done_testing
