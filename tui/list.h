/* list.h: where the cursor of a list is, and which of its rows are seen. */
#ifndef WOODSHED_TUI_LIST_H
#define WOODSHED_TUI_LIST_H

#include <stdbool.h>
#include <stdint.h>

struct list {
	int64_t n;      /* rows there are */
	int64_t cursor; /* 0 to n - 1; 0 when there is none */
	int64_t top;    /* first row that is seen */
	int64_t height; /* rows that fit; 0: none */
};

/* Each keeps the cursor among the rows, the cursor's row in sight and no empty
 * space under the last row while rows are hidden above. */
void list_resize(struct list *l, int64_t height);
void list_set_count(struct list *l, int64_t n);
void list_move(struct list *l, int64_t by);      /* by rows; stops at the ends */
void list_go(struct list *l, int64_t to);        /* to a row; -1: the last */
void list_page(struct list *l, double pages);    /* by pages, such as 0.5 or -1 */
void list_centre(struct list *l);                /* the cursor's row in the middle */
int64_t list_at(const struct list *l, int line); /* row on that line of the window; -1: none */

#endif
