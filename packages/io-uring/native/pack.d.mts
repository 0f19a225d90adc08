export declare const PLATFORMS: Readonly<
  Record<string, { readonly target: string; readonly cpu: string; readonly libc: string }>
>;
export declare function packageFor(platform: string, file?: string, into?: string): string;
export declare function manifestWithPlatforms(): {
  readonly name: string;
  readonly version: string;
  readonly optionalDependencies: Readonly<Record<string, string>>;
};
