/** The list through its members' links, against an array. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Link, LinkedList } from '../src/linked-list.ts';

function owners(list: LinkedList<number>): { forward: number[]; backward: number[] } {
  const forward: number[] = [];
  const backward: number[] = [];
  for (let link = list.head; link !== undefined; link = link.next) forward.push(link.owner);
  for (let link = list.tail; link !== undefined; link = link.previous) backward.push(link.owner);
  return { forward, backward };
}

test('random appends and removals leave what an array would have, in both directions', () => {
  const steps = fc.array(fc.record({ member: fc.nat(7), list: fc.nat(1), adds: fc.boolean() }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, (drawn) => {
      const links = Array.from({ length: 8 }, (_, owner) => new Link(owner));
      const lists = [new LinkedList<number>(), new LinkedList<number>()] as const;
      const arrays: [number[], number[]] = [[], []];
      for (const { member, list: at, adds } of drawn) {
        const link = links[member] as Link<number>;
        const list = lists[at] as LinkedList<number>;
        if (!adds) {
          list.remove(link);
          arrays[at] = (arrays[at] as number[]).filter((owner) => owner !== member);
        } else if (link.list === undefined) {
          list.append(link);
          (arrays[at] as number[]).push(member);
        }
        for (const [index, array] of arrays.entries()) {
          expect(owners(lists[index] as LinkedList<number>)).toEqual({
            forward: array,
            backward: array.toReversed(),
          });
        }
        for (const each of links) {
          const expected = arrays.findIndex((array) => array.includes(each.owner));
          expect(each.list).toBe(lists[expected]);
        }
      }
    }),
  );
});

describe('remove', () => {
  test('does nothing to a link that is in another list or in none', () => {
    const list = new LinkedList<string>();
    const other = new LinkedList<string>();
    const link = new Link('a');
    list.remove(link);
    other.append(link);
    list.remove(link);
    expect(other.head).toBe(link);
    expect(link.list).toBe(other);
  });

  test('leaves the link free for another list', () => {
    const [first, second] = [new LinkedList<string>(), new LinkedList<string>()];
    const [a, b] = [new Link('a'), new Link('b')];
    first.append(a);
    first.append(b);
    first.remove(a);
    second.append(a);
    expect([first.head, first.tail, second.head, second.tail]).toEqual([b, b, a, a]);
    expect(a.next).toBeUndefined();
  });
});
