// Where things are in the shared record. Every key of ours lies below one prefix, so that an etcd
// that serves others too keeps them apart and a watch on the prefix sees all that is ours.

export const KEY_PREFIX = "understudy/";

export const META_KEY = `${KEY_PREFIX}meta`;
export const SETTINGS_KEY = `${KEY_PREFIX}settings`;
/** What the settings were, by the revision at which they were written. */
export const FORMER_SETTINGS_PREFIX = `${KEY_PREFIX}former-settings/`;
export const MEMBERS_PREFIX = `${KEY_PREFIX}members/`;
/** Where two joins with one address meet: `addresses/<address>` holds the member's id. */
export const ADDRESSES_PREFIX = `${KEY_PREFIX}addresses/`;
export const TOKENS_PREFIX = `${KEY_PREFIX}tokens/`;
/** Who may use the API over the network. */
export const ACCESS_KEY = `${KEY_PREFIX}access`;
export const LEADER_KEY = `${KEY_PREFIX}leader`;
/** Whose puppetserver loads a new certificate now. */
export const RELOAD_TURN_KEY = `${KEY_PREFIX}turns/puppetserver-reload`;
/** Whoever moves virtual addresses now. */
export const SWITCHOVER_TURN_KEY = `${KEY_PREFIX}turns/switchover`;
/** Planned work: who is drained, and the roll under way. */
export const WORK_KEY = `${KEY_PREFIX}work`;
export const PKI_PREFIX = `${KEY_PREFIX}pki/`;
/** Who was told of what, by mail and webhook, and what is yet to be sent. */
export const ALERTS_PREFIX = `${KEY_PREFIX}alerts/`;
export const ALERTS_KEY = `${ALERTS_PREFIX}state`;
/** Passwords and URLs of the channels: what the settings must not show. */
export const ALERT_SECRETS_KEY = `${ALERTS_PREFIX}secrets`;
/** What happened: told, and never acted upon, so that nothing waits for it or is woken by it. */
export const HISTORY_PREFIX = `${KEY_PREFIX}history/`;

/** Says that the cluster's CA has ended, and where stock Puppet Server's goes on. */
export const EJECTED_KEY = `${KEY_PREFIX}ca/ejected`;

export const memberKey = (id: string) => `${MEMBERS_PREFIX}${id}`;
export const addressKey = (address: string) => `${ADDRESSES_PREFIX}${address}`;
export const tokenKey = (id: string) => `${TOKENS_PREFIX}${id}`;
