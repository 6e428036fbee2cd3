/** Reports that are sent by mail, each day, week or month. */

import { client, done, result } from './client';
import type { components } from './schema';

export type Channel = components['schemas']['Channel'];
export type Schedule = components['schemas']['ReportSchedule'];
export type ScheduleBody = components['schemas']['ScheduleBody'];
export type Sent = components['schemas']['TestResult'];

export async function readSchedules(): Promise<Schedule[]> {
  return (await result(client.GET('/api/v1/report-schedules'))).schedules;
}

export function createSchedule(body: ScheduleBody): Promise<Schedule> {
  return result(client.POST('/api/v1/report-schedules', { body }));
}

export function changeSchedule(
  { id, version }: Schedule,
  schedule: ScheduleBody,
): Promise<Schedule> {
  const options = { params: { path: { id } }, body: { version, schedule } };
  return result(client.PUT('/api/v1/report-schedules/{id}', options));
}

export function deleteSchedule(id: number): Promise<void> {
  return done(client.DELETE('/api/v1/report-schedules/{id}', { params: { path: { id } } }));
}

/** The report of the period just past, now; nothing of the schedule is changed. */
export function sendReport(id: number): Promise<Sent> {
  return result(client.POST('/api/v1/report-schedules/{id}/send', { params: { path: { id } } }));
}

/** Reports go by mail only. */
export async function readMailChannels(): Promise<Channel[]> {
  const { channels } = await result(client.GET('/api/v1/channels'));
  return channels.filter(({ target }) => target.kind === 'mail');
}
