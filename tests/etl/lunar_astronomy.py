"""The Chinese New Year computed from sun and moon, to check the table of dates by another way.

Rule of GB/T 33661-2017: the month that holds the winter solstice is the eleventh; a year from solstice to solstice with
thirteen months has a leap month, the first without a principal term. New moons and the sun's longitude: J. Meeus,
*Astronomical Algorithms* (1998), chapters 25 and 49 (true to about a minute).
"""

import math
from datetime import date, timedelta
from itertools import pairwise

J2000 = 2451545.0
PLANETS = (  # argument at k = 0, per k, amplitude in 1e-6 days
    (299.77, 0.107408, 325), (251.88, 0.016321, 165), (251.83, 26.651886, 164), (349.42, 36.412478, 126),
    (84.66, 18.206239, 110), (141.74, 53.303771, 62), (207.14, 2.453732, 60), (154.84, 7.306860, 56),
    (34.52, 27.261239, 47), (207.19, 0.121824, 42), (291.34, 1.844379, 40), (161.72, 24.198154, 37),
    (239.56, 25.513099, 35), (331.55, 3.592518, 23),
)  # fmt: skip


def sine(degrees: float) -> float:
    return math.sin(math.radians(degrees))


def delta_t(year: float) -> float:
    """Seconds of dynamical time ahead of universal time (Espenak and Meeus, polynomials of 1900-2150)."""
    t = year - 1900
    if year < 1920:
        return -2.79 + 1.494119 * t - 0.0598939 * t**2 + 0.0061966 * t**3 - 0.000197 * t**4
    if year < 1941:
        t = year - 1920
        return 21.20 + 0.84493 * t - 0.076100 * t**2 + 0.0020936 * t**3
    if year < 1961:
        t = year - 1950
        return 29.07 + 0.407 * t - t**2 / 233 + t**3 / 2547
    if year < 1986:
        t = year - 1975
        return 45.45 + 1.067 * t - t**2 / 260 - t**3 / 718
    if year < 2005:
        t = year - 2000
        return 63.86 + 0.3345 * t - 0.060374 * t**2 + 0.0017275 * t**3 + 0.000651814 * t**4 + 0.00002373599 * t**5
    t = year - 2000
    return 62.92 + 0.32217 * t + 0.005589 * t**2


def local_day(jde: float) -> date:
    """Calendar day in China: the meridian 120 degrees east, before 1929 that of Beijing."""
    year = 2000 + (jde - J2000) / 365.25
    hours = 8.0 if year >= 1929 else 7 + 45 / 60 + 40 / 3600
    moment = jde - delta_t(year) / 86400 + hours / 24
    return date(2000, 1, 1) + timedelta(days=math.floor(moment - J2000 + 0.5))


def new_moon(k: int) -> float:
    """Dynamical Julian day of new moon ``k`` (0: 6 January 2000)."""
    t = k / 1236.85
    e = 1 - 0.002516 * t - 0.0000074 * t * t
    jde = 2451550.09766 + 29.530588861 * k + 0.00015437 * t**2 - 0.000000150 * t**3 + 0.00000000073 * t**4
    m = 2.5534 + 29.10535670 * k - 0.0000014 * t**2 - 0.00000011 * t**3
    n = 201.5643 + 385.81693528 * k + 0.0107582 * t**2 + 0.00001238 * t**3 - 0.000000058 * t**4
    f = 160.7108 + 390.67050284 * k - 0.0016118 * t**2 - 0.00000227 * t**3 + 0.000000011 * t**4
    o = 124.7746 - 1.56375588 * k + 0.0020672 * t**2 + 0.00000215 * t**3
    terms = (
        (-0.40720, n), (0.17241 * e, m), (0.01608, 2 * n), (0.01039, 2 * f), (0.00739 * e, n - m), (-0.00514 * e, n + m),
        (0.00208 * e * e, 2 * m), (-0.00111, n - 2 * f), (-0.00057, n + 2 * f), (0.00056 * e, 2 * n + m), (-0.00042, 3 * n),
        (0.00042 * e, m + 2 * f), (0.00038 * e, m - 2 * f), (-0.00024 * e, 2 * n - m), (-0.00017, o), (-0.00007, n + 2 * m),
        (0.00004, 2 * n - 2 * f), (0.00004, 3 * m), (0.00003, n + m - 2 * f), (0.00003, 2 * n + 2 * f),
        (-0.00003, n + m + 2 * f), (0.00003, n - m + 2 * f), (-0.00002, n - m - 2 * f), (-0.00002, 3 * n + m), (0.00002, 4 * n),
    )  # fmt: skip
    planets = sum(
        1e-6 * a * sine(start + rate * k - (0.009173 * t * t if a == 325 else 0)) for start, rate, a in PLANETS
    )
    return jde + sum(a * sine(x) for a, x in terms) + planets


def sun_longitude(jde: float) -> float:
    """Apparent longitude of the sun in degrees (true to about 0.01)."""
    t = (jde - J2000) / 36525
    m = 357.52911 + 35999.05029 * t - 0.0001537 * t * t
    centre = (1.914602 - 0.004817 * t - 0.000014 * t * t) * sine(m)
    centre += (0.019993 - 0.000101 * t) * sine(2 * m) + 0.000289 * sine(3 * m)
    return (
        280.46646 + 36000.76983 * t + 0.0003032 * t * t + centre - 0.00569 - 0.00478 * sine(125.04 - 1934.136 * t)
    ) % 360


def when_longitude(degrees: float, near: float) -> float:
    """Dynamical Julian day near ``near`` when the sun reaches a longitude."""
    for _ in range(8):
        near += 365.2422 / 360 * ((degrees - sun_longitude(near) + 180) % 360 - 180)
    return near


def months_between(year: int) -> tuple[list[date], date]:
    """First days of the months from the eleventh of ``year - 1`` to the eleventh of ``year``, and the first solstice."""
    solstices = [local_day(when_longitude(270, J2000 + (y - 2000) * 365.2422 + 355)) for y in (year - 1, year)]
    k = round((year - 2000) * 12.3685) - 5
    moons = [local_day(new_moon(i)) for i in range(k, k + 22)]
    first = max(i for i, day in enumerate(moons) if day <= solstices[0])
    last = max(i for i, day in enumerate(moons) if day <= solstices[1])
    return moons[first : last + 1], solstices[0]


def chinese_new_year(year: int) -> date:
    """First day of the first month of a year."""
    months, _ = months_between(year)
    if len(months) == 13:  # twelve months from one eleventh to the next
        return months[2]
    leap = next(i for i, (start, stop) in enumerate(pairwise(months)) if not _principal_term(start, stop))
    return months[3] if leap <= 2 else months[2]


def _principal_term(start: date, stop: date) -> bool:
    """Whether the sun reaches a multiple of 30 degrees on a day of the month."""
    near = J2000 + (start - date(2000, 1, 1)).days
    target = (math.floor(sun_longitude(near - 1) / 30) + 1) * 30 % 360
    day = local_day(when_longitude(target, near + 10))
    if day < start:
        day = local_day(when_longitude((target + 30) % 360, near + 25))
    return start <= day < stop
