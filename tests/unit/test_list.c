/* SPDX-License-Identifier: MIT */
/* kernel-lib/list.h: order, removal, splicing, and that both directions agree. */
#include "kernel-lib/list.h"
#include "tests/harness/harness.h"

struct item {
    unsigned number;
    struct list node;
};

static unsigned number_of(const struct list *node)
{
    return container_of(node, const struct item, node)->number;
}

/* The ring holds `count` items numbered from `first` up, forward and backward. */
static void expect_run(struct list *head, unsigned first, unsigned count)
{
    unsigned expected = first;
    list_for_each (node, head) {
        EXPECT_EQ(number_of(node), expected);
        EXPECT(node->next->prev == node && node->prev->next == node);
        expected++;
    }
    EXPECT_EQ(expected, first + count);
}

TEST(list_starts_empty)
{
    struct list head;
    list_init(&head);
    EXPECT(list_is_empty(&head));
    expect_run(&head, 0, 0);
}

TEST(list_keeps_order)
{
    struct list head;
    struct item items[6];
    list_init(&head);
    for (unsigned i = 0; i < 6; i++)
        items[i].number = i;
    for (unsigned i = 3; i < 6; i++)
        list_push_back(&head, &items[i].node);
    for (unsigned i = 3; i-- > 0;)
        list_push(&head, &items[i].node);
    expect_run(&head, 0, 6);
}

TEST(list_removes_while_walking)
{
    struct list head;
    struct item items[8];
    unsigned left = 0;
    list_init(&head);
    for (unsigned i = 0; i < 8; i++) {
        items[i].number = i;
        list_push_back(&head, &items[i].node);
    }
    list_for_each_safe (node, &head) {
        if (number_of(node) % 2 == 0)
            list_remove(node);
    }
    list_for_each (node, &head) {
        EXPECT_EQ(number_of(node), 2 * left + 1);
        left++;
    }
    EXPECT_EQ(left, 4);
}

TEST(list_remove_twice_does_no_harm)
{
    struct list head;
    struct item items[2] = {{.number = 0}, {.number = 1}};
    list_init(&head);
    list_push_back(&head, &items[0].node);
    list_push_back(&head, &items[1].node);
    list_remove(&items[1].node);
    EXPECT(list_is_empty(&items[1].node));
    list_remove(&items[1].node);
    expect_run(&head, 0, 1);
}

TEST(list_splices)
{
    struct list a;
    struct list b;
    struct item items[5];
    list_init(&a);
    list_init(&b);
    list_splice(&a, &b);
    EXPECT(list_is_empty(&a) && list_is_empty(&b));
    for (unsigned i = 0; i < 5; i++) {
        items[i].number = i;
        list_push_back(i < 2 ? &a : &b, &items[i].node);
    }
    list_splice(&a, &b);
    expect_run(&a, 0, 5);
    EXPECT(list_is_empty(&b));
    list_splice(&b, &a);
    expect_run(&b, 0, 5);
    EXPECT(list_is_empty(&a));
}
