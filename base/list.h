/* base/list.h - intrusive doubly linked list. A node that is in no list points at itself. */
#ifndef SP_BASE_LIST_H
#define SP_BASE_LIST_H

#include <stdbool.h>

#include "base/mem.h"

struct sp_list {
    struct sp_list *next;
    struct sp_list *prev;
};

static inline void sp_list_init(struct sp_list *node)
{
    node->next = node->prev = node;
}

static inline bool sp_list_empty(const struct sp_list *head)
{
    return head->next == head;
}

/* At the end of the list. */
static inline void sp_list_append(struct sp_list *head, struct sp_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Harmless for a node that is in no list. */
static inline void sp_list_remove(struct sp_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sp_list_init(node);
}

/* Takes the first node out of a list that is not empty. */
static inline struct sp_list *sp_list_take(struct sp_list *head)
{
    struct sp_list *node = head->next;

    head->next = node->next;
    head->next->prev = head;
    sp_list_init(node);
    return node;
}

/* The same, as the object that holds the node. */
#define SP_LIST_TAKE(head, type, member) SP_CONTAINER(sp_list_take(head), type, member)

/* Appends all of `from`, in order, and leaves it empty. */
static inline void sp_list_move_all(struct sp_list *from, struct sp_list *to)
{
    if (sp_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    sp_list_init(from);
}

/* `item` may be removed (and freed) in the body. */
#define SP_LIST_EACH(item, head, type, member)                                                     \
    for (type *item = SP_CONTAINER((head)->next, type, member),                                    \
              *item##_next = SP_CONTAINER(item->member.next, type, member);                        \
         &item->member != (head);                                                                  \
         item = item##_next, item##_next = SP_CONTAINER(item->member.next, type, member))

#endif
