/* SPDX-License-Identifier: MIT */
/*
 * A doubly linked ring with a head that is a node itself. An empty head, and a node that is in
 * no list, point at themselves, so removing is the same for all and twice does no harm.
 */
#ifndef KERNEL_LIB_LIST_H
#define KERNEL_LIB_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/* Puts `node`, which is in no list, right behind `l`: at the front when `l` is the head. */
static inline void list_push(struct list *l, struct list *node)
{
    node->next = l->next;
    node->prev = l;
    l->next->prev = node;
    l->next = node;
}

static inline void list_push_back(struct list *l, struct list *node)
{
    list_push(l->prev, node);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Moves all of `from` to the end of `to`; `from` is empty then. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): `node` is the name of a variable to declare */
#define list_for_each(node, head) \
    for (struct list *node = (head)->next; node != (head); node = node->next)

/* The body may remove `node`. */
#define list_for_each_safe(node, head)                                                \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
