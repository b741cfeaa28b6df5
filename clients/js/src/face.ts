/** `<kao-face seed="ada" size="64">`: the face of a seed, drawn by a Kao server. */

const DEFAULT_SIZE = 64;
const SMALLEST = 16, LARGEST = 1024; // pixels that the server draws along a side
/** Attributes that are no parameters of `/avatar`: the element's own, and those of every element. */
const NOT_SENT = new RegExp(`^(?:${[
  "server|local|size|alt|loading",
  "accesskey|autocapitalize|autocorrect|autofocus|class|contenteditable|dir|draggable|enterkeyhint|exportparts|hidden|id|inert",
  "inputmode|is|item(?:id|prop|ref|scope|type)|lang|nonce|part|popover|role|slot|spellcheck|style|tabindex|title|translate",
  "aria-.*|data-.*|on.*",
  // Of Alpine, htmx, Vue, Angular and Svelte, which leave their own in the page.
  "x-(?:bind|cloak|data|effect|for|html|if|ignore|init|model|on|ref|show|teleport|text|transition)|hx-.*|v-cloak|_ng.*|.*[:@.].*",
].join("|")})$`);
const STYLE = `
:host { display: inline-grid; width: var(--size); height: var(--size); vertical-align: middle; overflow: hidden }
:host([shape=circle]) { border-radius: 50% }
:host([shape=rounded]) { border-radius: 16.7% }
:host([hidden]) { display: none }
img, span { grid-area: 1 / 1; width: 100%; height: 100% }
img { opacity: 0 }
img.here { opacity: 1 }
span { display: grid; place-items: center; font: 600 calc(var(--size) * .42) / 1 system-ui, sans-serif; color: #0009 }
img.here + span { visibility: hidden }
@media (prefers-reduced-motion: no-preference) { img { transition: opacity .2s } }
`;

/** What `format=json` answers with; `api.ts` has the types of the whole interface. */
interface Description {
  alt: Record<string, string>;
}

/** What `/local/faces.js` of a server opens: a model that draws in this browser (docs/browser.md). */
interface LocalFaces {
  draw(seed: string, size: number, look: object): Promise<{ image: ImageData }>;
}

const opened = new Map<string, Promise<LocalFaces>>();

/** One model for all elements of a page; one that does not open is tried again by the next element. */
function open(server: string, model: string): Promise<LocalFaces> {
  const key = `${server} ${model}`;
  const loading = opened.get(key) ?? import(`${server}local/faces.js`).then(
    ({ LocalFaces }: { LocalFaces: { open(server: string, model: string): Promise<LocalFaces> } }) =>
      LocalFaces.open(server, model),
  );
  opened.set(key, loading);
  loading.catch(() => opened.delete(key));
  return loading;
}

/** The first letters of up to two words, each as readers count letters. */
export function initials(seed: string): string {
  const words = seed.normalize("NFC").split(/[^\p{L}\p{N}\p{M}\p{So}\u200d\ufe0f]+/u).filter(Boolean);
  return words.slice(0, 2).map((word) => firstLetter(word).toUpperCase()).join("");
}

function firstLetter(word: string): string {
  const segments = new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(word);
  return segments[Symbol.iterator]().next().value?.segment ?? "";
}

/** A pale colour that stays the same for a seed (FNV-1a over its UTF-16 units). */
function colour(seed: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < seed.length; index++) {
    hash = Math.imul(hash ^ seed.charCodeAt(index), 0x01000193);
  }
  return `hsl(${(hash >>> 0) % 360} 55% 84%)`;
}

/** Programs that render on a server import the element too, where there is none. */
const Element = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

export class KaoFace extends Element {
  /** The server's address for elements without the attribute `server`; "": the page's own. */
  static server = "";

  #image = new Image();
  #initials = document.createElement("span");
  #observer = new MutationObserver(() => this.#show());
  #shown = "";
  #retry = (): void => this.#load(this.#shown);

  constructor() {
    super();
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.#initials.ariaHidden = "true";
    this.#image.decoding = "async";
    this.#image.addEventListener("load", () => this.#loaded());
    this.#image.addEventListener("error", () => this.#failed());
    this.attachShadow({ mode: "open" }).append(style, this.#image, this.#initials);
  }

  connectedCallback(): void {
    this.#observer.observe(this, { attributes: true });
    addEventListener("online", this.#retry);
    this.#show();
  }

  disconnectedCallback(): void {
    this.#observer.disconnect();
    removeEventListener("online", this.#retry);
  }

  /** The address of the face; `extra` replaces or adds parameters. */
  address(extra: Record<string, string> = {}): string {
    const query = new URLSearchParams({ seed: "", size: String(Math.max(SMALLEST, this.#size)) });
    for (const { name, value } of this.attributes) {
      if (!NOT_SENT.test(name)) query.set(name.replaceAll("-", "_"), value);
    }
    for (const [name, value] of Object.entries(extra)) query.set(name, value);
    const server = (this.getAttribute("server") ?? KaoFace.server).replace(/\/+$/, "");
    return `${server}/avatar?${query}`;
  }

  get #size(): number {
    const size = Math.round(Number(this.getAttribute("size") ?? DEFAULT_SIZE));
    return size >= 1 && size <= LARGEST ? size : DEFAULT_SIZE;
  }

  #show(): void {
    const seed = this.getAttribute("seed") ?? "";
    this.style.setProperty("--size", `${this.#size}px`);
    this.#initials.textContent = initials(seed);
    this.#initials.style.background = colour(seed);
    // Until the face's own description is there, its name is what readers of the page can use.
    if (!this.#image.alt || this.hasAttribute("alt")) this.#image.alt = this.getAttribute("alt") ?? seed;
    const address = this.address();
    if (address === this.#shown) return;
    this.#shown = address;
    this.#image.alt = this.getAttribute("alt") ?? seed;
    this.#image.classList.remove("here");
    this.#load(address);
  }

  #load(address: string): void {
    if (this.#image.classList.contains("here")) return;
    const image = this.#image;
    image.loading = this.getAttribute("loading") === "eager" ? "eager" : "lazy";
    image.width = image.height = this.#size;
    if (this.hasAttribute("local")) {
      void this.#draw(address).catch(() => address === this.#shown && this.#request(address));
    } else {
      this.#request(address);
    }
  }

  /** Draw in this browser. Rejects where it cannot, or where the page's policy shows no `data:`. */
  async #draw(address: string): Promise<void> {
    const { searchParams, href } = new URL(address, document.baseURI);
    const { seed, size, model, psi, variant, shape, ...traits } = Object.fromEntries(searchParams);
    const faces = await open(href.replace(/avatar\?.*/, ""), model ?? "default");
    const side = Math.min(LARGEST, Math.round(Number(size) * devicePixelRatio));
    const look = { psi: psi === undefined ? psi : Number(psi || NaN), variant: Number(variant ?? 0), traits };
    const { image } = await faces.draw(seed ?? "", side, look);
    if (address !== this.#shown) return;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    canvas.getContext("2d")!.putImageData(image, 0, 0);
    this.#image.removeAttribute("srcset");
    this.#image.loading = "eager";
    this.#image.src = canvas.toDataURL();
    await this.#image.decode();
  }

  #request(address: string): void {
    const image = this.#image;
    const densities = [2, 3].filter((dpr) => dpr * this.#size <= LARGEST);
    image.removeAttribute("srcset");
    image.srcset = densities.map((dpr) => `${this.address({ dpr: String(dpr) })} ${dpr}x`).join(", ");
    image.src = address;
  }

  #loaded(): void {
    this.#image.classList.add("here");
    this.dispatchEvent(new Event("load"));
    // Drawn here, no server needs to know the seed.
    if (!this.hasAttribute("alt") && !this.#image.src.startsWith("data:")) void this.#describe(this.#shown);
  }

  #failed(): void {
    this.#image.classList.remove("here");
    this.dispatchEvent(new Event("error"));
  }

  /** Replace the alternative text by what the face shows, in the language of the page. */
  async #describe(address: string): Promise<void> {
    try {
      const answer = await fetch(this.address({ format: "json" }));
      const { alt } = (await answer.json()) as Description;
      const language = (this.closest<HTMLElement>("[lang]")?.lang ?? "en").split("-")[0] ?? "en";
      const text = alt[language] ?? alt.en;
      if (text && address === this.#shown && !this.hasAttribute("alt")) this.#image.alt = text;
    } catch {
      // Offline, or an older server: the seed remains the text.
    }
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "kao-face": KaoFace;
  }
}

if (globalThis.customElements && !customElements.get("kao-face")) customElements.define("kao-face", KaoFace);
