/* What queueing will cost, in words. */
#include "tui/compose_cost.h"

#include <math.h>
#include <stdio.h>

#include "library/base/str.h"
#include "tui/text.h"

enum { BRIEF_CELLS = 78 };

static const char *duration(double s, char out[32])
{
	if (s < 0.05)
		snprintf(out, 32, "under 0.1 s");
	else if (s < 9.95)
		snprintf(out, 32, "%.1f s", s);
	else if (s < 99.5)
		snprintf(out, 32, "%.0f s", s);
	else if (s < 5970)
		snprintf(out, 32, "%.0f min", s / 60);
	else
		snprintf(out, 32, "%.1f h", s / 3600);
	return out;
}

static uint64_t all(const struct compose_count *n)
{
	return n->prompts * n->settings * n->takes;
}

/* " (2 prompts × 3 settings × 4 takes)" where it is more than takes, or " (2 × 3 × 4)". */
static void tell_count(const struct compose_count *n, bool in_numbers, struct str *out)
{
	const struct {
		uint64_t n;
		const char *what;
	} factors[] = {{n->prompts, " prompts"}, {n->settings, " settings"}, {n->takes, " takes"}};
	const char *by = " (";

	if (n->prompts <= 1 && n->settings <= 1)
		return;
	for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
		if (factors[i].n <= 1)
			continue;
		str_printf(out, "%s%llu%s", by, (unsigned long long)factors[i].n,
			in_numbers ? "" : factors[i].what);
		by = " \u00d7 ";
	}
	str_add(out, ")");
}

static void tell_start(const struct compose_cost *c, bool is_brief, struct str *out)
{
	const struct forecast_ahead *a = &c->ahead;
	const char *s = a->jobs == 1 ? "" : "s";
	char time[32];

	if (c->is_paused)
		str_add(out, is_brief ? ", queue paused"
				      : ", starts when the queue goes on: it is paused");
	else if (!a->jobs)
		str_add(out, ", starts at once");
	else if (isnan(a->wall_s))
		str_printf(out, ", starts after %lld job%s", (long long)a->jobs, s);
	else if (is_brief)
		str_printf(out, ", starts in ~%s", duration(a->wall_s, time));
	else
		str_printf(out, ", starts in ~%s (%lld job%s ahead)", duration(a->wall_s, time),
			(long long)a->jobs, s);
}

static bool tell_disk(const struct compose_cost *c, uint64_t bytes, bool is_brief, struct str *out)
{
	char need[16], there[16];

	if (!bytes || c->bytes_free == UINT64_MAX)
		return false;
	if (bytes > c->bytes_free)
		str_printf(out,
			is_brief ? "the disk is too small: %s needed, %s free; "
				 : "the disk is too small: it needs %s, and %s are free; ",
			format_bytes(bytes, need), format_bytes(c->bytes_free, there));
	else if (c->bytes_free - bytes < COMPOSE_COST_LEFT_MB * UINT64_C(1000000))
		str_printf(out, "only %s of disk will be left; ",
			format_bytes(c->bytes_free - bytes, there));
	else
		return false;
	return true;
}

static void tell_time(const struct compose_cost *c, bool is_one, bool is_brief, struct str *out)
{
	char text[32];

	if (!isnan(c->take.wall_s))
		str_printf(out, ", %s%s to render", duration(c->take.wall_s, text),
			is_one ? "" : " each");
	else if (is_brief)
		str_add(out, ", time not known yet");
	else
		str_printf(out, ", time unknown until %s has rendered once", c->model);
}

/* in_numbers: what makes the count. */
static bool tell(const struct compose_cost *c, bool is_brief, bool in_numbers, struct str *out)
{
	const uint64_t n = all(&c->n), bytes = c->take.bytes * n;
	const bool is_short = tell_disk(c, bytes, is_brief, out);
	char text[32];

	str_printf(out, "F5%s %llu take%s", is_brief ? ":" : " queues", (unsigned long long)n,
		n == 1 ? "" : "s");
	if (is_short && is_brief)
		return true;
	tell_count(&c->n, in_numbers, out);
	if (c->is_repeat)
		str_add(out, is_brief ? ", the same again"
				      : ", the same music once more (its seed is fixed)");
	tell_time(c, n == 1, is_brief, out);
	if (bytes)
		str_printf(out, ", %s", format_bytes(bytes, text));
	tell_start(c, is_brief, out);
	return is_short;
}

bool compose_cost_tell(const struct compose_cost *c, bool is_brief, struct str *out)
{
	const size_t n = out->n;
	const bool is_short = tell(c, is_brief, false, out);

	if (is_brief && text_cells(str_get(out) + n) > BRIEF_CELLS) {
		out->n = n;
		tell(c, true, true, out);
	}
	return is_short;
}
