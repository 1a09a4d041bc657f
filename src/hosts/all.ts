/** Every host that there is. The page's first worker is built without them: they come when asked for. */
import type { Host } from './host.js'
import { pkvm70, pkvm71 } from './pkvm/index.js'
import { snp } from './snp/index.js'
import { tdx618, tdx619 } from './tdx/index.js'

/** In the order of the tables. */
export const HOSTS: readonly Host[] = [snp, tdx618, tdx619, pkvm70, pkvm71]
