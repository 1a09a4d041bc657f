/** The designs that come with the project, in the order of the matrix. */
import type { Design } from './design.js'
import { gmem618 } from './gmem.js'
import { upm } from './upm.js'
import { upmAops } from './upm-aops.js'
import { upmAopsRepaired } from './upm-aops-repaired.js'
import { upmPin } from './upm-pin.js'
import { v10 } from './v10.js'

export const DESIGNS: readonly Design[] = [v10, upm, upmPin, upmAops, upmAopsRepaired, gmem618]
