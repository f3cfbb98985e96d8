#!/bin/sh
# What is completed in a shell.  Called as: TEST WOODSHED FOLDER, the folder that of
# the generated files.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

# completed WORDS...: what bash offers for the last of them
completed()
{
	# shellcheck disable=SC2016
	run env PATH="$(dirname "$woodshed"):$PATH" bash -c '
. "$0"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
compopt() { :; }
_woodshed
printf "%s\n" "${COMPREPLY[@]}"' "$fixtures/woodshed" "$@"
}

# offers WORD...: exactly these
offers()
{
	[ "$(sort "$scratch/out" | tr '\n' ' ')" = "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" ]
}

completed woodshed re
check 'verbs' offers recipe remote render retry
completed woodshed render --prec
check 'options' offers --precision
completed woodshed --quiet render --device ''
check 'choices' offers auto cpu cuda
mkdir -p "$WOODSHED_LIBRARY/models/some-model"
completed woodshed queue --model some
check 'models' offers some-model
completed woodshed --pl
check 'options before a verb' offers --plain
completed woodshed --library takes ren
check 'a value is not the verb' offers render
completed woodshed render --device = c
check 'choices behind =' offers cpu cuda
completed woodshed recipe --verify --prec
check 'options of recipe --verify' offers --precision
completed woodshed pull musicgen-l
check 'models to pull' offers musicgen-large
# shellcheck disable=SC2016
mkdir -p "$WOODSHED_LIBRARY/models/"'other$(id>ran)' "$WOODSHED_LIBRARY/models/other one"
completed woodshed render --model other
# shellcheck disable=SC2016
check 'names that a shell would expand' offers 'other$(id>ran)' 'other one'
check 'none was run' test ! -e ran
completed woodshed models --default not
check 'what woodshed models says besides' offers ''
for verb in $("$woodshed" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
	for file in woodshed _woodshed woodshed.fish; do
		check "$verb in $file" grep -q "\b$verb\b" "$fixtures/$file"
	done
done
for shell in zsh fish; do
	name=$fixtures/$([ $shell = zsh ] && echo _woodshed || echo woodshed.fish)
	if command -v $shell >/dev/null; then
		run $shell -n "$name"
		check "$shell reads it" succeeds
	else
		skip "$shell reads it" "$shell is not installed"
	fi
done
done_testing
