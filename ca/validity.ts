/** From when until when a certificate is valid. */

import { CaError } from "./error.ts";

/** A span of validity in whole seconds, both ends included. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Days a CA is valid unless said otherwise: ten years. */
export const CA_DAYS = 3650;

/** Days a host's certificate is valid unless said otherwise: a year. */
export const HOST_DAYS = 365;

/** The most days that are taken: a century. */
export const LONGEST_DAYS = 36_500;

const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

/** How far back validity starts, for clocks that are behind; a CA precedes all that it signs. */
const CA_BACKDATED = DAY;
const HOST_BACKDATED = HOUR;

/**
 * The validity of a CA made now.
 *
 * @throws {CaError} `DAYS` If the days are no whole number from 1 to {@linkcode LONGEST_DAYS}.
 */
export function authorityValidity(now: Date, days: number): Validity {
  checkDays(days);
  return span(now, CA_BACKDATED, days);
}

/**
 * The validity of a host's certificate issued now, never beyond its issuer's; `cut` says that the
 * issuer ends it before the days are over.
 *
 * @throws {CaError} `DAYS` as {@linkcode authorityValidity}.
 */
export function hostValidity(
  now: Date,
  days: number,
  issuer: Validity,
): Validity & { readonly cut: boolean } {
  checkDays(days);
  const { notBefore, notAfter } = span(now, HOST_BACKDATED, days);
  const cut = notAfter > issuer.notAfter;
  return {
    notBefore: notBefore < issuer.notBefore ? issuer.notBefore : notBefore,
    notAfter: cut ? issuer.notAfter : notAfter,
    cut,
  };
}

/**
 * The dates of a CRL made now: unless days are given it is good for as long as the CA, as nothing
 * renews it by itself.
 */
export function crlDates(
  now: Date,
  issuer: Validity,
  days?: number,
): { readonly thisUpdate: Date; readonly nextUpdate: Date } {
  const { notBefore, notAfter } = span(now, HOST_BACKDATED, days ?? 0);
  return {
    thisUpdate: notBefore < issuer.notBefore ? issuer.notBefore : notBefore,
    nextUpdate: days === undefined || notAfter > issuer.notAfter ? issuer.notAfter : notAfter,
  };
}

/** The days that a certificate of these dates was made for, its back-dated time left out. */
export function wholeDays(notBefore: Date, notAfter: Date): number {
  return Math.floor((notAfter.getTime() - notBefore.getTime()) / DAY);
}

/** Whether a host's certificate has all of its days, to the second as {@linkcode hostValidity} makes it. */
export function isWholeLife({ notBefore, notAfter }: Validity): boolean {
  const life = notAfter.getTime() - notBefore.getTime() - HOST_BACKDATED;
  return life >= DAY && life % DAY === 0;
}

/** Whether two thirds of the life of a certificate are gone, after which it should be renewed. */
export function isDue({ notBefore, notAfter }: Validity, now: Date): boolean {
  return now.getTime() >= dueAt({ notBefore, notAfter }).getTime();
}

/** When a certificate should be renewed. */
export function dueAt({ notBefore, notAfter }: Validity): Date {
  const life = notAfter.getTime() - notBefore.getTime();
  return new Date(notBefore.getTime() + Math.floor(life * 2 / 3));
}

/** Whole days from now to a date, rounded to the nearest. */
export function daysUntil(now: Date, then: Date): number {
  return Math.round((then.getTime() - now.getTime()) / DAY);
}

function span(now: Date, backdated: number, days: number): Validity {
  const start = Math.floor(now.getTime() / SECOND) * SECOND;
  return { notBefore: new Date(start - backdated), notAfter: new Date(start + days * DAY) };
}

/**
 * Checks a number of days.
 *
 * @throws {CaError} `DAYS` If it is no whole number from 1 to {@linkcode LONGEST_DAYS}.
 */
export function checkDays(days: number): number {
  if (Number.isInteger(days) && days >= 1 && days <= LONGEST_DAYS) return days;
  throw new CaError("DAYS", {
    value: String(days),
    option: "--days",
    cause: `it has to be a whole number from 1 to ${LONGEST_DAYS}`,
  });
}
