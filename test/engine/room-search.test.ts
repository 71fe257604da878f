/** What a full store is asked for next, and when. */
import { describe, expect, test } from 'vitest';
import { RoomSearch } from '../../src/engine/room-search.ts';

const WAIT_MS = 30_000;

/** Refused down to the smallest frame, of 10 bytes; the pause that follows. */
function refuse(room: RoomSearch): number {
  let pauseMs = room.onRefused(8, 80);
  while (pauseMs === 0) pauseMs = room.onRefused(1, Math.max(10, room.bytesMax));
  return pauseMs;
}

describe('a pause', () => {
  test('is twice as long each time', () => {
    const room = new RoomSearch(WAIT_MS);
    expect([refuse(room), refuse(room), refuse(room)]).toEqual([10, 20, 40]);
  });

  test.each([
    ['something went through', (room: RoomSearch) => room.onTaken(10)],
    ['streams are forgotten', (room: RoomSearch) => room.onRoomMade()],
    ['nothing waits any more that was refused', (room: RoomSearch) => room.end()],
  ])('is short again once %s', (_what, happen) => {
    const room = new RoomSearch(WAIT_MS);
    refuse(room);
    refuse(room);
    happen(room);
    expect(refuse(room)).toBe(10);
  });

  test('follows a commit without frames at once', () => {
    expect(new RoomSearch(WAIT_MS).onRefused(0, 0)).toBe(10);
  });
});

describe('the next commit', () => {
  test('takes half of what was refused, and twice of what went through', () => {
    const room = new RoomSearch(WAIT_MS);
    const most = room.bytesMax;
    expect(room.onRefused(8, 1_000)).toBe(0);
    expect(room.bytesMax).toBe(500);
    expect(room.onRefused(3, 400)).toBe(0);
    expect(room.bytesMax).toBe(200);
    room.onTaken(150);
    expect(room.bytesMax).toBe(400);
    // The smallest was larger.
    room.onTaken(900);
    expect(room.bytesMax).toBe(1_800);
    room.onTaken(most);
    expect(room.bytesMax).toBe(most);
    room.onRefused(8, 1_000);
    room.end();
    expect(room.bytesMax).toBe(most);
  });
});
