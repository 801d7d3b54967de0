import { readdir } from "node:fs/promises";

/**
 * Files that desktops and file systems put into folders by themselves: macOS, Windows, KDE, ext4,
 * NFS, FUSE.
 */
const systemFiles = [
  /^\.ds_store$/,
  /^\._/,
  /^\.localized$/,
  /^icon\r$/,
  /^(eh)?thumbs\.db$/,
  /^desktop\.ini$/,
  /^\.directory$/,
  /^lost\+found$/,
  /^\.nfs[0-9a-f]+$/,
  /^\.fuse_hidden[0-9a-f]+$/,
];

/** True if a file is one that the system left, which counts as nothing. */
export function isSystemFile(name: string): boolean {
  return systemFiles.some((pattern) => pattern.test(name.toLowerCase()));
}

/** The names in a folder, without what the system left there. */
export async function listFolder(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => !isSystemFile(name));
}
