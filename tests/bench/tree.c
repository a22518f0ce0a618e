/* SPDX-License-Identifier: MIT */
/*
 * tree: a search tree (a treap) of nodes with names of their own, in which keys come and go while
 * others are looked up. Two objects a key, and the time depends on where the allocator puts them,
 * too.
 *
 * Invariants: keys of the left subtree are smaller, and no child has a higher priority than its
 * parent. The priority follows from the key, so the shape does not depend on the order of
 * insertions.
 */
#include "tests/bench/bench.h"
#include <string.h>

#define KEYS  60000u
#define USUAL 100u
#define STEPS 11000u /* a round */

struct node {
    struct node *left, *right;
    uint32_t key;
    uint32_t priority;
    char *name;
};

static struct node *node_new(uint32_t key)
{
    size_t bytes = 8 + key % 40;
    struct node *node = malloc(sizeof(*node));
    char *name = malloc(bytes);

    if (node == NULL || name == NULL)
        bench_fail("a node of %zu bytes or a name of %zu cannot be had", sizeof(*node), bytes);
    memset(name, (int)(key & 0x7f), bytes);
    *node = (struct node){.key = key, .priority = key * 2654435761u, .name = name};
    return node;
}

static uint64_t node_free(struct node *node)
{
    uint64_t tag = (uint64_t)node->name[7] + node->key;

    free(node->name);
    free(node);
    return tag;
}

/* Splits a tree into the keys below `key` and the rest. */
static void split(struct node *tree, uint32_t key, struct node **below, struct node **rest)
{
    while (tree != NULL) {
        if (tree->key < key) {
            *below = tree;
            below = &tree->right;
            tree = tree->right;
        } else {
            *rest = tree;
            rest = &tree->left;
            tree = tree->left;
        }
    }
    *below = NULL;
    *rest = NULL;
}

/* Puts the joined trees, whose keys are all below and all above, at `place`. */
static void join(struct node **place, struct node *below, struct node *above)
{
    while (below != NULL && above != NULL) {
        if (below->priority > above->priority) {
            *place = below;
            place = &below->right;
            below = below->right;
        } else {
            *place = above;
            place = &above->left;
            above = above->left;
        }
    }
    *place = below != NULL ? below : above;
}

/* Where `key` is, or the place of the first node under which it would be inserted. */
static struct node **find(struct node **place, uint32_t key, uint32_t priority)
{
    while (*place != NULL && (*place)->key != key && (*place)->priority >= priority)
        place = key < (*place)->key ? &(*place)->left : &(*place)->right;
    return place;
}

/* Inserts the key if it is not there, else removes it. */
static uint64_t toggle(struct node **root, uint32_t key)
{
    struct node **place = find(root, key, key * 2654435761u);
    struct node *node = *place;

    if (node != NULL && node->key == key) {
        join(place, node->left, node->right);
        return node_free(node);
    }
    node = node_new(key);
    split(*place, key, &node->left, &node->right);
    *place = node;
    return 0;
}

static uint64_t look_up(struct node **root, uint32_t key)
{
    struct node *node = *find(root, key, 0);
    return node == NULL ? 0 : (uint64_t)node->name[0];
}

static uint64_t tree_run(const struct bench_options *options)
{
    unsigned steps = bench_rounds(options, USUAL) * STEPS;
    struct random random = random_seeded(5);
    struct node *root = NULL;
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = 0; i < steps; i++) {
        sum += toggle(&root, random_below(&random, KEYS));
        sum += look_up(&root, random_below(&random, KEYS));
    }
    while (root != NULL)
        sum += toggle(&root, root->key);
    return sum;
}

const struct workload workload_tree = {
    .name = "tree",
    .about = "a search tree of nodes and names, keys coming and going",
    .run = tree_run,
};
