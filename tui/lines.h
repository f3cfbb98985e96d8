/* lines.h: the workstation where nothing can be drawn over (TERM=dumb): commands
 * line by line, the screen as text after each.  Private to the workstation. */
#ifndef WOODSHED_TUI_LINES_H
#define WOODSHED_TUI_LINES_H

struct ws;

/* Draws and prints the screen, the cursor's row behind a >, and asks for a line. */
void lines_show(struct ws *ws);
/* Takes a line that was typed: a command, or what the line at the foot wants. */
void lines_take(struct ws *ws);

#endif
