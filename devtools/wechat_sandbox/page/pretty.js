// JSON and XML set out for reading; what is neither stays as it is.

export function pretty(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  if (trimmed.startsWith("<xml")) return prettyXml(trimmed);
  try {
    return JSON.stringify(JSON.parse(guardLongNumbers(trimmed)), null, 2).replace(/"#(\d{16,})#"/g, "$1");
  } catch {
    return text;
  }
}

// A 64-bit msgid would be rounded by JSON.parse.
const guardLongNumbers = (text) => text.replace(/([:[,]\s*)(\d{16,})(?=\s*[,}\]])/g, '$1"#$2#"');

function prettyXml(text) {
  const parsed = new DOMParser().parseFromString(text, "text/xml");
  if (parsed.querySelector("parsererror")) return text;
  return lines(parsed.documentElement, "").join("\n");
}

function lines(node, indent) {
  const children = [...node.children];
  if (!children.length) return [`${indent}<${node.tagName}>${node.textContent}</${node.tagName}>`];
  return [
    `${indent}<${node.tagName}>`,
    ...children.flatMap((child) => lines(child, `${indent}  `)),
    `${indent}</${node.tagName}>`,
  ];
}
