/** Pictures that follow a slider: small, at once, while the exact ones are still on their way. */

import { LocalFaces } from "./faces.js";
import { parseQuery, type Picture } from "./requests.js";

const REST = 120; // ms without a change, after which the exact picture is loaded
const ROUND = /[?&]shape=(circle|rounded)(?=&|$)/; // the page clips what it shows

/** A picture of the playground (app/studio/assets/picture.js). */
interface PagePicture {
  frame: HTMLElement;
  requested: string;
  current: string | null;
  loading: string | null;
  load: () => Promise<void>;
}

interface Job {
  picture: Picture;
  resolve: (canvas: HTMLCanvasElement | null) => void;
}

/** Draws at the resolution of the network, one picture at a time, of those in wait only the newest. */
export class LiveFaces {
  private faces: { version: string; opened: Promise<LocalFaces> } | undefined;
  private isBusy = false;
  private next: Job | undefined;
  private readonly rests = new WeakMap<PagePicture, number>();

  constructor(private readonly server: string) {}

  /** A canvas with the picture of an address, null where a newer one came or drawing failed.
   *
   * undefined at once for an address whose picture only the server draws.
   */
  draw(address: string): Promise<HTMLCanvasElement | null> | undefined {
    const url = new URL(address, this.server);
    const path = url.pathname.slice(new URL(this.server).pathname.length);
    const picture = parseQuery(url.search.replace(ROUND, ""), path);
    if (!picture) return undefined;
    return new Promise((resolve) => {
      this.next?.resolve(null);
      this.next = { picture, resolve };
      if (!this.isBusy) void this.run();
    });
  }

  /** Show a picture's requested address at once, and load the exact picture when it rests.
   *
   * Returns false where only the server draws it.
   */
  follow(picture: PagePicture, address: string): boolean {
    clearTimeout(this.rests.get(picture));
    const drawing = this.draw(address);
    if (!drawing) return false;
    this.rests.set(picture, setTimeout(() => void (picture.loading ?? picture.load()), REST));
    void drawing.then((canvas) => {
      // The exact picture of a request may have come before its preview.
      if (!canvas || picture.current === picture.requested) return;
      picture.frame.querySelector("canvas")?.remove();
      picture.frame.append(canvas);
    });
    return true;
  }

  /** A picture is back at what it shows: no preview, and nothing to load. */
  stop(picture: PagePicture): void {
    clearTimeout(this.rests.get(picture));
    picture.frame.querySelector("canvas")?.remove();
  }

  close(): void {
    void this.faces?.opened.then((faces) => faces.close(), () => undefined);
    this.faces = undefined;
  }

  private async run(): Promise<void> {
    this.isBusy = true;
    for (let job = this.next; job; job = this.next) {
      this.next = undefined;
      job.resolve(await this.drawOne(job.picture).catch(() => null));
    }
    this.isBusy = false;
  }

  private async drawOne({ model, seed, psi, variant, traits, morph }: Picture): Promise<HTMLCanvasElement> {
    if (this.faces?.version !== model) {
      this.close();
      this.faces = { version: model, opened: LocalFaces.open(this.server, model) };
    }
    const faces = await this.faces.opened;
    const { image } = await faces.draw(seed, faces.resolution, { psi, variant, traits, morph });
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    return canvas;
  }
}
