/* names.h: file names from a pattern, safe on any file system.
 *
 * A pattern is a name with fields in braces: "{prompt:40} {model} {seed}".
 *
 *	{prompt} {model}	texts; with :N at most N characters of them
 *	{seed} {take}		with :N at least N characters, zeros in front
 *	{date}			2026-11-24
 *	{{ }}			braces
 *
 * What comes out can be written to ext4, FAT, NTFS and APFS: characters that one
 * of them refuses become '_', every kind of blank becomes one ' ', none and no dot is at
 * either end, names of DOS devices get a '_' in front, and all of it with
 * suffix and number has at most NAME_MAX bytes, never cut inside a character. */
#ifndef WOODSHED_LIBRARY_NAMES_H
#define WOODSHED_LIBRARY_NAMES_H

#include <stdint.h>

struct arena;
struct err;

enum { NAMES_SIZE = 256 }; /* NAME_MAX and the NUL */

#define NAMES_DEFAULT "{prompt:40} {model} {seed} {take}"

/* Texts may be NULL (nothing) and hold anything. */
struct names_fields {
	const char *prompt, *model;
	const char *seed, *take; /* as text: files that are no takes have neither number */
	const char *date;
};

/* Whether a pattern is one; ERR_ARG in one sentence with the fields that are
 * known.  A pattern has no '/': it names a file, not a folder. */
int names_check(const char *pattern, struct err *e);

/* The name with `suffix` (".wav") in out.  A pattern that gives nothing gives
 * "untitled".  The same input gives the same name: see names_numbered(). */
int names_make(const char *pattern, const struct names_fields *f, const char *suffix,
	char out[NAMES_SIZE], struct err *e);

/* "NAME (3).wav" for "NAME.wav" and k = 3; the name itself for k up to 1.  A
 * long one is cut before its number. */
void names_numbered(const char *name, unsigned k, char out[NAMES_SIZE]);

#endif
