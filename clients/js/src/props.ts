/** What the wrappers take. `traits`: values by name, as `GET /models/default` lists them. */
export interface FaceProps {
  seed: string;
  size?: number;
  server?: string;
  shape?: "square" | "circle" | "rounded";
  psi?: number;
  model?: string;
  alt?: string;
  loading?: "lazy" | "eager";
  local?: boolean;
  traits?: Record<string, string | number>;
}

/** The attributes of the element. */
export function attributes({ traits, local, ...rest }: FaceProps): Record<string, string> {
  const pairs = Object.entries({ ...rest, ...traits, ...(local ? { local: "" } : {}) }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(pairs.map(([name, value]) => [name.replaceAll("_", "-"), String(value)]));
}
