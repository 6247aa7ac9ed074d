import { expect, it } from 'vitest';
import { defaultGateway, freeSubnets, parseSubnet, printSubnet } from '../../../src/docker/subnets.ts';

it('reads and prints networks, without the bits of a host', () => {
  expect(['10.213.0.0/16', '192.168.1.77/24', '0.0.0.0/0', '255.255.255.255/32'].map((text) => printSubnet(parseSubnet(text)!))).toEqual(['10.213.0.0/16', '192.168.1.0/24', '0.0.0.0/0', '255.255.255.255/32']);
  expect(['10.0.0.0', '10.0.0.256/8', '10.0.0.0/33', 'fd00::/64', ''].map(parseSubnet)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  expect(defaultGateway(parseSubnet('172.18.0.0/16')!)).toBe('172.18.0.1');
});

it('gives the free parts of a pool, in order', () => {
  const free = (pool: string, ...taken: string[]) => [...freeSubnets(parseSubnet(pool)!, 26, taken.map((text) => parseSubnet(text)!))].map(printSubnet);
  expect(free('10.213.0.0/24')).toEqual(['10.213.0.0/26', '10.213.0.64/26', '10.213.0.128/26', '10.213.0.192/26']);
  expect(free('10.213.0.0/24', '10.213.0.64/28', '10.213.0.128/25', '172.17.0.0/16')).toEqual(['10.213.0.0/26']);
  expect(free('10.213.0.0/24', '10.0.0.0/8')).toEqual([]);
  expect(free('10.213.0.0/27')).toEqual([]);
  expect(free('10.213.0.0/16')).toHaveLength(1024);
});
