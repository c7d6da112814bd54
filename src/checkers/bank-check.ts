import { compareText } from '../core/ids.js'

/** One consistent read of all accounts. */
export type BalanceSheet = Readonly<Record<string, number>>

export interface BankOptions {
  /** What all accounts together hold, always. */
  readonly total: number
  readonly accounts: readonly string[]
  /** Default: false. */
  readonly mayBeNegative?: boolean
}

export type BankFault =
  | { readonly kind: 'total'; readonly sheet: number; readonly total: number }
  | { readonly kind: 'negative'; readonly sheet: number; readonly account: string }
  | { readonly kind: 'accounts'; readonly sheet: number; readonly account: string }

/** Transfers move money and make none: every sheet has every account and the same total. */
export function checkBank(sheets: readonly BalanceSheet[], options: BankOptions): BankFault[] {
  const expected = new Set(options.accounts)
  return sheets.flatMap((sheet, at) => {
    const faults: BankFault[] = []
    const names = [...new Set([...options.accounts, ...Object.keys(sheet)])].sort(compareText)
    let total = 0
    for (const account of names) {
      const balance = sheet[account]
      if (balance === undefined || !expected.has(account)) {
        faults.push({ kind: 'accounts', sheet: at, account })
        continue
      }
      total += balance
      if (balance < 0 && !options.mayBeNegative) {
        faults.push({ kind: 'negative', sheet: at, account })
      }
    }
    if (total !== options.total) faults.push({ kind: 'total', sheet: at, total })
    return faults
  })
}
