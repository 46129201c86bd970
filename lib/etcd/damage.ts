/** What etcd 3.5 and 3.6 say before they end, and what it means for the data. */
const SIGNS: [RegExp, string][] = [
  [/crc mismatch|wal: (?:file not found|conflicting metadata|slice bounds)/, "its write-ahead log is damaged"],
  [
    /failed to recover v3 backend from snapshot|failed to find database snapshot|snapshot file doesn't exist/,
    "its database is missing or empty",
  ],
  [
    /Page expected to be|bbolt\.\(\*DB\)\.(?:free|load)|invalid freelist|unexpected fault address|invalid database/,
    "its database is damaged",
  ],
];

/**
 * What an etcd that ended has lost, by the end of its log; undefined where the log does not blame its data. Such an etcd
 * ends the same way however often it is started: a power cut, or a card that gives back other bytes than were written.
 */
export const dataDamage = (log: string): string | undefined => SIGNS.find(([sign]) => sign.test(log))?.[1];

/** What somebody can do whose etcd has lost data in a directory. */
export const dataDamageHint = (dataDir: string): string =>
  `nothing was deleted. Keep a copy of ${dataDir} first. With other control planes running: kubestick reset here, then join this host again. With none: put a backup of ${dataDir} there. Only without a backup: kubestick reset, then kubestick init makes a new, empty cluster`;
