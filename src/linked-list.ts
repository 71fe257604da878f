/** A doubly linked list through links that its members own: O(1) at both ends and in the middle. */

export class Link<Owner> {
  readonly owner: Owner;
  list: LinkedList<Owner> | undefined;
  previous: Link<Owner> | undefined;
  next: Link<Owner> | undefined;

  constructor(owner: Owner) {
    this.owner = owner;
  }
}

export class LinkedList<Owner> {
  head: Link<Owner> | undefined;
  tail: Link<Owner> | undefined;

  append(link: Link<Owner>): void {
    link.list = this;
    link.previous = this.tail;
    link.next = undefined;
    if (this.tail === undefined) this.head = link;
    else this.tail.next = link;
    this.tail = link;
  }

  /** Takes `link` out; nothing happens if it is not in this list. */
  remove(link: Link<Owner>): void {
    if (link.list !== this) return;
    if (link.previous === undefined) this.head = link.next;
    else link.previous.next = link.next;
    if (link.next === undefined) this.tail = link.previous;
    else link.next.previous = link.previous;
    link.list = undefined;
    link.previous = undefined;
    link.next = undefined;
  }
}
