/** What was available over a period. */

import type { ReportQuestion } from '../model/report';
import { client, result } from './client';
import type { components } from './schema';

export type Report = components['schemas']['AvailabilityReport'];
export type IncidentOfReport = components['schemas']['IncidentOfReport'];
export type Times = components['schemas']['Times'];
export type SiteOfReport = components['schemas']['SiteOfReport'];
export type AgentOfReport = components['schemas']['AgentOfReport'];
export type PairOfReport = components['schemas']['PairOfReport'];

export async function readReport(query: ReportQuestion): Promise<Report> {
  const answer = await result(
    client.GET('/api/v1/reports/availability', { params: { query: { ...query, format: 'json' } } }),
  );
  // The description allows CSV for the same request; with `format=json` it never comes.
  return answer as Report;
}
