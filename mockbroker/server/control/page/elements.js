// Elements made from what clients have sent. Only textContent: nothing of it is ever markup.

export const byId = (id) => document.getElementById(id);

export function element(tag, {text, ...properties} = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = visible(text);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "className") made.className = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

// Control characters and marks of direction could hide or reorder what stands beside them.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function visible(text) {
  return String(text).replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function count(number, singular, plural = `${singular}s`) {
  return `${number} ${number === 1 ? singular : plural}`;
}

// Return a duration such as "59 min", "2 h 5 min" or "3 d 4 h".
export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  if (days) return `${days} d${hours ? ` ${hours} h` : ""}`;
  if (hours) return `${hours} h${rest ? ` ${rest} min` : ""}`;
  return minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

// Return the time of day of a moment, which is ISO 8601 unless the broker's time is extreme.
export function timeOfDay(moment) {
  const date = new Date(typeof moment === "number" ? moment * 1000 : moment ?? NaN);
  return Number.isNaN(date.getTime()) ? "–" : date.toLocaleTimeString("en-GB");
}
