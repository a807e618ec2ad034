// A store's map: its SVG is drawn into the page, because an element inside an
// <img> cannot be lit up. Nothing of the file runs or is fetched: only drawing
// elements stay, and they live in a shadow root with their own styles.

const SVG = "http://www.w3.org/2000/svg";

/** What draws. Links, scripts, animation, foreign content and all else go. */
const ELEMENTS = new Set(
  `svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan textPath image style
  linearGradient radialGradient stop pattern clipPath mask marker filter feBlend feColorMatrix feComponentTransfer
  feComposite feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode feMorphology
  feOffset feTile`.split(/\s+/),
);
const SHAPES = ":is(path, rect, circle, ellipse, polygon, polyline, line)";

/** Of the map's place; the colours stand out of any map, whatever the store's are. */
const MARK_STYLE = `
  :host { display: block; }
  svg { display: block; width: 100%; height: 100%; }
  .parley-place${SHAPES}, .parley-place ${SHAPES} { stroke: #c8102e !important; stroke-width: var(--line) !important; animation: lit 1.6s infinite ease-in-out; }
  .parley-pin { fill: #c8102e; stroke: #fff; filter: drop-shadow(0 0 2px #0009); animation: hop 1.6s infinite ease-in-out; }
  .parley-pin circle { fill: #fff; stroke: none; }
  .parley-ring { fill: none; stroke: #c8102e; animation: ring 1.6s infinite ease-out; transform-box: fill-box; transform-origin: center; }
  @keyframes lit { 50% { stroke-opacity: 0.35; } }
  @keyframes hop { 50% { translate: 0 var(--hop); } }
  @keyframes ring { from { transform: scale(0.3); opacity: 1; } to { transform: scale(1.5); opacity: 0; } }
  @media (prefers-reduced-motion: reduce) { * { animation: none !important; } }`;

/** Fetches an SVG and shows it in host. Returns whether the place to mark was found. */
export async function showMap(host: HTMLElement, address: string, mark: string): Promise<boolean> {
  const response = await fetch(address, { credentials: "omit" });
  if (!response.ok) throw new Error(`map ${address}: ${response.status}`);
  const { root, styles, inline } = clean(await response.text());
  const svg = document.importNode(root, true);
  const shadow = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  shadow.adoptedStyleSheets = [...styles, MARK_STYLE].map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  // The page's policy forbids style attributes; what is set by script it allows.
  for (const [i, element] of [svg, ...svg.querySelectorAll<SVGElement>("*")].entries()) if (inline[i]) element.style.cssText = inline[i];
  shadow.replaceChildren(svg);
  const place = mark ? svg.querySelector<SVGGraphicsElement>(`#${CSS.escape(mark)}`) : null;
  if (place) light(svg, place);
  return place !== null;
}

/**
 * What is left of an SVG, with its style sheets and, for each element in order, its style attribute.
 * The browser's console tells of each style that the page's policy kept from the parsed file; they are set later.
 */
function clean(text: string): { root: SVGSVGElement; styles: string[]; inline: string[] } {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.namespaceURI !== SVG || root.localName !== "svg") throw new Error("map: is not an SVG");
  for (const element of root.querySelectorAll("*")) {
    if (element.namespaceURI !== SVG || !ELEMENTS.has(element.localName)) element.remove();
  }
  const styles: string[] = [];
  for (const style of root.querySelectorAll("style")) {
    if (isOwn(style.textContent ?? "")) styles.push(style.textContent ?? "");
    style.remove();
  }
  const inline = [root, ...root.querySelectorAll("*")].map((element) => {
    const style = element.getAttribute("style") ?? "";
    for (const a of [...element.attributes]) if (!mayStay(element, a)) element.removeAttributeNode(a);
    return isOwn(style) ? style : "";
  });
  const svg = root as unknown as SVGSVGElement;
  const [width, height] = [parseFloat(svg.getAttribute("width") ?? ""), parseFloat(svg.getAttribute("height") ?? "")];
  if (!svg.hasAttribute("viewBox") && width > 0 && height > 0) svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const name of ["width", "height"]) svg.removeAttribute(name);
  return { root: svg, styles, inline };
}

function mayStay(element: Element, a: Attr): boolean {
  const name = a.localName.toLowerCase();
  if (name === "style" || name.startsWith("on")) return false;
  if (name !== "href") return isOwn(a.value);
  return a.value.startsWith("#") || (element.localName === "image" && /^data:image\/(png|jpeg|webp|gif);base64,/.test(a.value));
}

/** Whether a style fetches nothing: its addresses are within the map. */
function isOwn(style: string): boolean {
  return !/@import|\\/i.test(style) && !/url\(\s*["']?(?!#)[^\s"']/i.test(style);
}

/** Lights a place up: its outline, and a pin on it. */
function light(svg: SVGSVGElement, place: SVGGraphicsElement): void {
  place.classList.add("parley-place");
  const toMap = svg.getScreenCTM()?.inverse();
  const fromPlace = place.getScreenCTM();
  if (!toMap || !fromPlace) return; // it is not drawn
  const view = svg.viewBox.baseVal;
  const size = Math.max(view.width, view.height) / 12;
  const box = place.getBBox();
  const inMap = (part: number): DOMPoint => new DOMPoint(box.x + box.width / 2, box.y + box.height * part).matrixTransform(toMap.multiply(fromPlace));
  // On the place's edge the pin hides no name, if there is room above.
  const { x, y } = inMap(0).y - 1.4 * size > view.y ? inMap(0) : inMap(0.7);
  svg.style.setProperty("--line", `${size / 9}px`);
  svg.style.setProperty("--hop", `${-size / 6}px`);
  const at = element("g", { transform: `translate(${x} ${y}) scale(${size / 40})` });
  const pin = element("g", { class: "parley-pin", "stroke-width": "2.5" });
  pin.append(
    element("path", { d: "M0 0C-4-10-15-16-15-29a15 15 0 1 1 30 0C15-16 4-10 0 0Z" }),
    element("circle", { cy: "-29", r: "5.5" }),
  );
  at.append(element("ellipse", { class: "parley-ring", rx: "20", ry: "11", "stroke-width": "4" }), pin);
  svg.append(at);
}

function element(name: string, attributes: Record<string, string>): SVGElement {
  const e = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  return e;
}
